-- Work in the background that no slide is analysed for, such as a calibration: asked for by a call, done by a worker.
CREATE TABLE jobs (
    id uuid CONSTRAINT jobs_pkey PRIMARY KEY,
    lab text NOT NULL,
    kind varchar(16) NOT NULL,
    subject text NOT NULL,
    request_id text NOT NULL,
    given jsonb NOT NULL,
    state varchar(16) NOT NULL DEFAULT 'QUEUED',
    progress double precision NOT NULL DEFAULT 0,
    outcome jsonb,
    reason text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    attempt integer NOT NULL DEFAULT 0,
    token uuid,
    lease_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT jobs_lab_request_id_key UNIQUE (lab, request_id),
    CONSTRAINT jobs_running_has_token_check CHECK ((state = 'RUNNING') = (token IS NOT NULL AND lease_until IS NOT NULL))
);

CREATE INDEX jobs_due_idx ON jobs (created_at, id) WHERE state IN ('QUEUED', 'RUNNING');
CREATE INDEX jobs_lab_created_idx ON jobs (lab, created_at, id);

COMMENT ON COLUMN jobs.kind IS 'CALIBRATION, COHORT, COHORT_CONFIRM';
COMMENT ON COLUMN jobs.subject IS 'who asked for it, as the token names them';
COMMENT ON COLUMN jobs.given IS 'what was asked for';
COMMENT ON COLUMN jobs.outcome IS 'what came of it; null unless DONE';
COMMENT ON COLUMN jobs.token IS 'who runs it; null unless RUNNING';
