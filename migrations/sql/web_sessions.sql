-- Browsers that signed in. What a browser holds is not here, only its digest.
CREATE TABLE web_sessions (
    key varchar(64) CONSTRAINT web_sessions_pkey PRIMARY KEY,
    lab text NOT NULL,
    subject text NOT NULL,
    roles text[] NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN web_sessions.key IS 'SHA-256 of what the browser holds';
COMMENT ON COLUMN web_sessions.subject IS 'who, as the token names them';
