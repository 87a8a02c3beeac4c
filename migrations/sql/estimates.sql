-- What pathologists themselves put a slide's first score at, a row a region; score_shown: they had seen ours, or may have.
CREATE TABLE estimates (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT estimates_pkey PRIMARY KEY,
    lab text NOT NULL,
    result_id uuid NOT NULL,
    subject text NOT NULL,
    measure text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    value double precision,
    category text,
    score_shown boolean NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT estimates_result_id_fkey FOREIGN KEY (result_id, lab) REFERENCES results (id, lab),
    CONSTRAINT estimates_said_check CHECK ((value IS NULL) <> (category IS NULL))
);

CREATE INDEX estimates_result_id_idx ON estimates (result_id);
CREATE INDEX estimates_lab_idx ON estimates (lab, id);

COMMENT ON COLUMN estimates.subject IS 'who, as the token names them';
COMMENT ON COLUMN estimates.measure IS 'as of scores';
COMMENT ON COLUMN estimates.category IS 'of a measure that is one, in place of a value';
COMMENT ON COLUMN estimates.score_shown IS 'the score may have been seen before';
