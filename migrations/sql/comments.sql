-- What persons said beside results.
CREATE TABLE comments (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT comments_pkey PRIMARY KEY,
    lab text NOT NULL,
    result_id uuid NOT NULL,
    subject text NOT NULL,
    said text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT comments_result_id_fkey FOREIGN KEY (result_id, lab) REFERENCES results (id, lab)
);

CREATE INDEX comments_result_id_idx ON comments (result_id);

COMMENT ON COLUMN comments.subject IS 'who, as the token names them';
