-- What a laboratory found of a profile's revision, for one marker and model, and who signed it.
CREATE TABLE validations (
    id uuid CONSTRAINT validations_pkey PRIMARY KEY,
    lab text NOT NULL,
    name text NOT NULL,
    revision integer NOT NULL,
    marker text NOT NULL,
    model_sha256 text NOT NULL,
    found jsonb NOT NULL,
    subject text NOT NULL,
    request_id text NOT NULL,
    asked jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT validations_lab_request_id_key UNIQUE (lab, request_id),
    CONSTRAINT validations_id_lab_key UNIQUE (id, lab)
);

CREATE INDEX validations_profile_idx ON validations (lab, name, revision, marker);

CREATE TABLE validation_signatures (
    validation_id uuid NOT NULL,
    lab text NOT NULL,
    subject text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT validation_signatures_pkey PRIMARY KEY (validation_id, subject),
    CONSTRAINT validation_signatures_validation_id_fkey FOREIGN KEY (validation_id, lab)
        REFERENCES validations (id, lab)
);

COMMENT ON COLUMN validations.found IS 'slides, and agreement by measure and region';
COMMENT ON COLUMN validations.asked IS 'results and what a person scored them as; none: those that were signed';
COMMENT ON COLUMN validations.subject IS 'who computed it, as the token names them';
COMMENT ON COLUMN validation_signatures.subject IS 'who, as the token names them';
