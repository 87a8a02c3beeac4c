-- Our claims on items of worklists (Unified Procedure Steps), each written before it is sent.
CREATE TABLE ups_claims (
    lab text,
    worklist text,
    item_uid varchar(64),
    transaction_uid varchar(64) NOT NULL,
    order_id uuid CONSTRAINT ups_claims_order_id_fkey REFERENCES orders (id),
    outcome varchar(16),
    claimed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ups_claims_pkey PRIMARY KEY (lab, worklist, item_uid)
);

CREATE INDEX ups_claims_open_idx ON ups_claims (lab, worklist, claimed_at) WHERE outcome IS NULL;

COMMENT ON COLUMN ups_claims.worklist IS 'as the site file names it';
COMMENT ON COLUMN ups_claims.item_uid IS 'SOP Instance UID';
COMMENT ON COLUMN ups_claims.transaction_uid IS 'locks the item: known to us and the worklist alone';
COMMENT ON COLUMN ups_claims.order_id IS 'null: none yet, or it was refused';
COMMENT ON COLUMN ups_claims.outcome IS 'COMPLETED, CANCELED, LOST; null: we hold it, or ask for it';
