-- A score is a row: a number or a category, of one region of a result. scores_of_a_result.sql holds to which.
CREATE TABLE scores (
    result_id uuid NOT NULL,
    lab text NOT NULL,
    position smallint NOT NULL,
    measure text COLLATE "C" NOT NULL,
    code text NOT NULL,
    scheme text NOT NULL,
    display text NOT NULL,
    region text COLLATE "C" NOT NULL,
    value double precision,
    category text,
    unit text NOT NULL,
    interval_low double precision,
    interval_high double precision,
    n bigint NOT NULL,
    comment text NOT NULL DEFAULT '',
    rule text NOT NULL DEFAULT '',
    CONSTRAINT scores_pkey PRIMARY KEY (result_id, measure, region)
);

COMMENT ON COLUMN scores.position IS 'the order of the rows';
COMMENT ON COLUMN scores.measure IS 'the code of the measure here; code and scheme may be public ones';
COMMENT ON COLUMN scores.interval_low IS '95 %, in the unit of the value';
COMMENT ON COLUMN scores.n IS 'cells that it is of';
COMMENT ON COLUMN scores.comment IS 'what a guideline''s category means';
COMMENT ON COLUMN scores.rule IS 'the guideline''s version and source';
