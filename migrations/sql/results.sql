CREATE TABLE results (
    id uuid CONSTRAINT results_pkey PRIMARY KEY,
    lab text NOT NULL,
    order_id uuid CONSTRAINT results_order_id_fkey REFERENCES orders (id),
    predecessor uuid CONSTRAINT results_predecessor_fkey REFERENCES results (id),
    created_at timestamptz NOT NULL,
    marker text NOT NULL,
    clinical_region text NOT NULL DEFAULT '',
    profile jsonb NOT NULL,
    slide jsonb NOT NULL,
    model jsonb NOT NULL,
    tiles jsonb NOT NULL,
    seconds jsonb NOT NULL,
    tissue_mm2 double precision NOT NULL,
    analysis_warnings text[] NOT NULL,
    warnings text[] NOT NULL,
    software text NOT NULL DEFAULT '',
    change jsonb,
    choice jsonb,
    control jsonb NOT NULL DEFAULT '{}',
    run integer NOT NULL DEFAULT 1,
    series_uid text GENERATED ALWAYS AS (slide ->> 'series_uid') STORED,
    container_id text GENERATED ALWAYS AS (slide ->> 'container_id') STORED,
    control_status text GENERATED ALWAYS AS (control #>> '{own,status}') STORED,
    slide_of_run text GENERATED ALWAYS AS (control ->> 'slide_of_run') STORED,
    CONSTRAINT results_id_lab_key UNIQUE (id, lab) -- for what belongs to a result to be of its laboratory
);

CREATE INDEX results_order_id_idx ON results (order_id);
CREATE INDEX results_lab_created_idx ON results (lab, created_at, id);
CREATE INDEX results_series_idx ON results (lab, series_uid, created_at, id) WHERE series_uid <> '';
CREATE INDEX results_container_idx ON results (lab, container_id, created_at, id) WHERE container_id <> '';
CREATE INDEX results_control_idx ON results (lab, marker, created_at, id) WHERE control_status <> '';
CREATE INDEX results_run_control_idx ON results (lab, marker, slide_of_run, created_at) WHERE slide_of_run <> '';

COMMENT ON COLUMN results.clinical_region IS 'that the clinical score is about';
COMMENT ON COLUMN results.profile IS 'the revision as it was, whole';
COMMENT ON COLUMN results.software IS 'version of chromogen that made it';
COMMENT ON COLUMN results.change IS 'what persons changed since the analysis, who last, and why; null: nobody did';
COMMENT ON COLUMN results.choice IS 'why that profile; null: a person named it';
COMMENT ON COLUMN results.control IS 'what its controls came to';
COMMENT ON COLUMN results.run IS 'of the order, which may be begun anew';
COMMENT ON COLUMN results.control_status IS 'of the control tissue on its slide';
COMMENT ON COLUMN results.slide_of_run IS 'the staining run whose control slide it is of';
COMMENT ON COLUMN results.series_uid IS 'of the slide';
COMMENT ON COLUMN results.container_id IS 'of the slide';
