-- Revisions of criteria, and the states of each: the last one counts.
CREATE TABLE profiles (
    name text NOT NULL,
    revision integer NOT NULL,
    lab text NOT NULL,
    marker text NOT NULL,
    clone text NOT NULL,
    stainer text NOT NULL,
    scanner text NOT NULL,
    pathologist text NOT NULL DEFAULT '*',
    criteria jsonb NOT NULL,
    valid_from date,
    valid_until date,
    source text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT profiles_pkey PRIMARY KEY (lab, name, revision)
);

CREATE TABLE profile_states (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT profile_states_pkey PRIMARY KEY,
    lab text NOT NULL,
    name text NOT NULL,
    revision integer NOT NULL,
    state varchar(16) NOT NULL,
    subject text NOT NULL,
    request_id text,
    reason text NOT NULL DEFAULT '',
    valid_from date,
    valid_until date,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT profile_states_lab_request_id_key UNIQUE (lab, request_id)
);

CREATE INDEX profile_states_last_idx ON profile_states (lab, name, revision, id);

COMMENT ON COLUMN profiles.pathologist IS 'whose own it is; *: the laboratory''s';
COMMENT ON COLUMN profiles.criteria IS 'method, and its values';
COMMENT ON COLUMN profile_states.id IS 'the last one of a revision is its state';
COMMENT ON COLUMN profile_states.state IS 'DRAFT, ACTIVE, RETIRED; a revision without one is ACTIVE';
COMMENT ON COLUMN profile_states.subject IS 'who, as the token names them';
COMMENT ON COLUMN profile_states.valid_from IS 'in place of the revision''s own, from its activation on; so valid_until';
COMMENT ON COLUMN profile_states.request_id IS 'of the call that made the revision';
