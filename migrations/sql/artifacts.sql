-- The files that cases, signatures and refusals leave, with what receivers know them by.
CREATE TABLE artifacts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT artifacts_pkey PRIMARY KEY,
    lab text NOT NULL,
    order_id uuid CONSTRAINT artifacts_order_id_fkey REFERENCES orders (id),
    result_id uuid,
    kind varchar(16) NOT NULL,
    path text NOT NULL,
    sha256 varchar(64),
    identifier text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT artifacts_result_id_fkey FOREIGN KEY (result_id, lab) REFERENCES results (id, lab),
    CONSTRAINT artifacts_of_one_check CHECK (order_id IS NULL OR result_id IS NULL)
);

CREATE INDEX artifacts_result_id_idx ON artifacts (result_id);

COMMENT ON COLUMN artifacts.order_id IS 'of what has no result';
COMMENT ON COLUMN artifacts.sha256 IS 'of the file when it was sent for; null: it never leaves';
COMMENT ON COLUMN artifacts.identifier IS 'MSH-10 or SOP instance UID; empty: it never leaves';
