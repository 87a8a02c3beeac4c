CREATE TABLE results (
    id uuid CONSTRAINT results_pkey PRIMARY KEY,
    lab text NOT NULL,
    order_id uuid CONSTRAINT results_order_id_fkey REFERENCES orders (id),
    predecessor uuid CONSTRAINT results_predecessor_fkey REFERENCES results (id),
    created_at timestamptz NOT NULL,
    profile jsonb NOT NULL,
    slide jsonb NOT NULL,
    model jsonb NOT NULL,
    tiles jsonb NOT NULL,
    seconds jsonb NOT NULL,
    tissue_mm2 double precision NOT NULL,
    analysis_warnings text[] NOT NULL,
    warnings text[] NOT NULL,
    nuclei_file text NOT NULL,
    software text NOT NULL DEFAULT '',
    hue_value bytea NOT NULL,
    density bytea NOT NULL,
    series_uid text GENERATED ALWAYS AS (slide ->> 'series_uid') STORED,
    container_id text GENERATED ALWAYS AS (slide ->> 'container_id') STORED
);

CREATE INDEX results_order_id_idx ON results (order_id);
CREATE INDEX results_lab_created_idx ON results (lab, created_at, id);
CREATE INDEX results_series_idx ON results (lab, series_uid, created_at, id) WHERE series_uid <> '';
CREATE INDEX results_container_idx ON results (lab, container_id, created_at, id) WHERE container_id <> '';

COMMENT ON COLUMN results.profile IS 'the revision as it was, whole';
COMMENT ON COLUMN results.software IS 'version of chromogen that made it';
COMMENT ON COLUMN results.hue_value IS 'zlib of little-endian int64 (2, 360, 256)';
COMMENT ON COLUMN results.density IS 'zlib of little-endian int64 (2, 301)';
COMMENT ON COLUMN results.series_uid IS 'of the slide';
COMMENT ON COLUMN results.container_id IS 'of the slide';

CREATE TABLE scores (
    result_id uuid NOT NULL CONSTRAINT scores_result_id_fkey REFERENCES results (id),
    compartment varchar(16) NOT NULL,
    n bigint NOT NULL,
    counts bigint[] NOT NULL,
    h_score double precision,
    h_score_low double precision,
    h_score_high double precision,
    percent_positive double precision,
    allred_ps smallint,
    allred_is smallint,
    allred_total smallint,
    irs smallint,
    CONSTRAINT scores_pkey PRIMARY KEY (result_id, compartment)
);

COMMENT ON COLUMN scores.counts IS 'nuclei of grade 0, 1, 2, 3';
