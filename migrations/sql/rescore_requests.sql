-- Requests to score a result anew that were answered: the same again is answered alike, another under its id refused.
CREATE TABLE rescore_requests (
    lab text NOT NULL,
    request_id text NOT NULL,
    result_id uuid NOT NULL,
    profile text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rescore_requests_pkey PRIMARY KEY (lab, request_id)
);

COMMENT ON COLUMN rescore_requests.result_id IS 'that was to be scored anew';
COMMENT ON COLUMN rescore_requests.profile IS 'name/revision';
