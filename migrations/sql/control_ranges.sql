-- What a laboratory expects of its controls: rows are only added, and the newest of a key counts.
CREATE TABLE control_ranges (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT control_ranges_pkey PRIMARY KEY,
    lab text NOT NULL,
    marker text NOT NULL,
    kind text NOT NULL,
    staining_run text NOT NULL DEFAULT '*',
    clone text NOT NULL DEFAULT '*',
    stainer text NOT NULL DEFAULT '*',
    measure text NOT NULL,
    low double precision,
    high double precision,
    category text,
    least_cells integer NOT NULL,
    target double precision,
    deviation double precision,
    valid_from date,
    valid_until date,
    source text NOT NULL DEFAULT '',
    retired boolean NOT NULL DEFAULT false,
    subject text NOT NULL,
    request_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT control_ranges_lab_request_id_key UNIQUE (lab, request_id)
);

CREATE INDEX control_ranges_marker_idx ON control_ranges (lab, marker, id);

COMMENT ON COLUMN control_ranges.id IS 'the last one of a key counts';
COMMENT ON COLUMN control_ranges.kind IS 'of control tissue, such as positive or 3+';
COMMENT ON COLUMN control_ranges.target IS 'of the control chart, with its deviation';
COMMENT ON COLUMN control_ranges.retired IS 'from here on there is none of this key';
COMMENT ON COLUMN control_ranges.subject IS 'who, as the token names them';
