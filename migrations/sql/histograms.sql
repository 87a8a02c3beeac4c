-- Joint histograms over the quantised numbers of a result's cells: scores under any criteria follow from them.
CREATE TABLE histograms (
    result_id uuid NOT NULL,
    lab text NOT NULL,
    name text NOT NULL,
    shape integer[] NOT NULL,
    counts bytea NOT NULL,
    CONSTRAINT histograms_result_id_fkey FOREIGN KEY (result_id, lab) REFERENCES results (id, lab),
    CONSTRAINT histograms_pkey PRIMARY KEY (result_id, name)
);

COMMENT ON COLUMN histograms.counts IS 'zlib of little-endian unsigned integers, as wide as the length says';
