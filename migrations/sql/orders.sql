CREATE TABLE orders (
    id uuid CONSTRAINT orders_pkey PRIMARY KEY,
    lab text NOT NULL,
    sender_application text NOT NULL,
    sender_facility text NOT NULL,
    message_control_id text NOT NULL,
    message_type text NOT NULL,
    placer_order_number text NOT NULL,
    placer_namespace text NOT NULL DEFAULT '',
    placer_universal_id text NOT NULL DEFAULT '',
    placer_universal_type text NOT NULL DEFAULT '',
    placer_request text NOT NULL,
    priority varchar(16) NOT NULL,
    rank smallint NOT NULL,
    marker text NOT NULL,
    procedure_code text NOT NULL,
    procedure_text text NOT NULL,
    patient jsonb NOT NULL,
    specimen jsonb NOT NULL,
    slide jsonb NOT NULL,
    charset text NOT NULL,
    processing_id text NOT NULL DEFAULT 'P',
    requested_at timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    state varchar(16) NOT NULL DEFAULT 'QUEUED',
    attempt integer NOT NULL DEFAULT 0,
    token uuid,
    lease_until timestamptz,
    due_at timestamptz NOT NULL DEFAULT now(),
    progress double precision NOT NULL DEFAULT 0,
    reason text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    result_id uuid,
    updated_at timestamptz NOT NULL DEFAULT now(),
    run integer NOT NULL DEFAULT 1,
    begun_at timestamptz NOT NULL DEFAULT now(),
    repeats text[] NOT NULL DEFAULT '{}',
    ending varchar(16),
    -- a column, since the operators of a JSON document aren't leakproof: under row-level security no index of an
    -- expression serves
    container_id text GENERATED ALWAYS AS (slide ->> 'container_id') STORED,
    CONSTRAINT orders_message_key UNIQUE (sender_application, sender_facility, message_control_id),
    CONSTRAINT orders_running_has_token_check CHECK (
        (state = 'RUNNING') = (token IS NOT NULL AND lease_until IS NOT NULL)),
    CONSTRAINT orders_done_has_result_check CHECK ((state = 'DONE') = (result_id IS NOT NULL))
);

CREATE UNIQUE INDEX orders_placer_key ON orders (
    lab, placer_order_number, placer_namespace, placer_universal_id, placer_universal_type, placer_request
) WHERE placer_order_number <> '';
CREATE INDEX orders_due_idx ON orders (rank, received_at, id) WHERE state IN ('QUEUED', 'RUNNING');
CREATE INDEX orders_received_idx ON orders (received_at);
CREATE INDEX orders_lab_received_idx ON orders (lab, received_at, id);
CREATE INDEX orders_ended_idx ON orders (lab, received_at, id) WHERE state IN ('REFUSED', 'DEAD', 'CANCELLED');
CREATE INDEX orders_container_idx ON orders (lab, container_id, received_at, id) WHERE container_id <> '';
CREATE INDEX orders_urgent_idx ON orders (lab, rank, received_at, id) WHERE rank < 2;
CREATE INDEX orders_patient_idx ON orders (lab, (patient ->> 'id'));

COMMENT ON COLUMN orders.rank IS '0 STAT, 1 ASAP, 2 ROUTINE';
COMMENT ON COLUMN orders.processing_id IS 'MSH-11: P, T or D';
COMMENT ON COLUMN orders.token IS 'who holds the order; null unless RUNNING';
COMMENT ON COLUMN orders.run IS 'one more each time it is begun anew';
COMMENT ON COLUMN orders.repeats IS 'sender and control id of messages that began it anew';
COMMENT ON COLUMN orders.ending IS 'as what it ends once the LIS can be told';
COMMENT ON COLUMN orders.container_id IS 'of the slide';
