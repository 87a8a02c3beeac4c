-- Is an order without a worker, and to be given to none: because `most` workers vanished, or since its end only waits to
-- be told? A worker ends it.
CREATE FUNCTION chromogen_is_abandoned(
    state text, lease_until timestamptz, attempt integer, ending text, most integer
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
    RETURN state = 'RUNNING' AND lease_until < now() AND (attempt >= most OR ending IS NOT NULL);
