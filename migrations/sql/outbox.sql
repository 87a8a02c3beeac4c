-- What has to leave, in the order of sending.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT outbox_pkey PRIMARY KEY,
    lab text NOT NULL,
    order_id uuid CONSTRAINT outbox_order_id_fkey REFERENCES orders (id),
    result_id uuid CONSTRAINT outbox_result_id_fkey REFERENCES results (id),
    destination text NOT NULL,
    kind varchar(16) NOT NULL,
    message_id text NOT NULL,
    path text NOT NULL,
    sha256 varchar(64) NOT NULL,
    state varchar(16) NOT NULL DEFAULT 'WAITING',
    attempts integer NOT NULL DEFAULT 0,
    errors integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    token uuid,
    lease_until timestamptz,
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT outbox_destination_message_id_key UNIQUE (destination, message_id)
);

CREATE INDEX outbox_result_id_idx ON outbox (result_id);
CREATE INDEX outbox_order_id_idx ON outbox (order_id) WHERE kind = 'ORU';
CREATE INDEX outbox_waiting_idx ON outbox (destination, lab, id) WHERE state = 'WAITING';
CREATE INDEX outbox_waiting_order_idx ON outbox (order_id, destination, id) WHERE state = 'WAITING';
CREATE INDEX outbox_dead_idx ON outbox (destination) WHERE state = 'DEAD';

COMMENT ON COLUMN outbox.id IS 'the order of sending';
COMMENT ON COLUMN outbox.order_id IS 'null: of no order';
COMMENT ON COLUMN outbox.result_id IS 'null: a refusal';
COMMENT ON COLUMN outbox.sha256 IS 'of the file when the result was finished';
COMMENT ON COLUMN outbox.state IS 'WAITING, SENT, DEAD';
COMMENT ON COLUMN outbox.errors IS 'times that the receiver answered AE or CE, or nothing though it answered others';
