-- Who did what to which object, when, with what outcome. Written by chromogen_append alone.
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT audit_pkey PRIMARY KEY,
    lab text NOT NULL,
    chain smallint NOT NULL,
    number bigint NOT NULL,
    at timestamptz NOT NULL,
    subject text NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    outcome text NOT NULL,
    hash varchar(64) NOT NULL,
    CONSTRAINT audit_lab_chain_number_key UNIQUE (lab, chain, number)
);

CREATE INDEX audit_object_idx ON audit (object);

COMMENT ON COLUMN audit.chain IS 'one of eight a laboratory';
COMMENT ON COLUMN audit.number IS '1, 2, 3 ... in its chain';
COMMENT ON COLUMN audit.subject IS 'who';
COMMENT ON COLUMN audit.object IS 'table/identifier';
COMMENT ON COLUMN audit.hash IS 'SHA-256 of the row and of the hash before it';
