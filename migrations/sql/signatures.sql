-- What pathologists said of results.
CREATE TABLE signatures (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT signatures_pkey PRIMARY KEY,
    lab text NOT NULL,
    result_id uuid NOT NULL CONSTRAINT signatures_result_id_fkey REFERENCES results (id),
    state varchar(16) NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT signatures_result_id_state_key UNIQUE (result_id, state)
);

COMMENT ON COLUMN signatures.id IS 'the last one of a result is its state';
COMMENT ON COLUMN signatures.state IS 'FINAL, REJECTED, CORRECTED, SUPERSEDED';
COMMENT ON COLUMN signatures.subject IS 'who, as the token names them';
