-- A line at the end of one of a laboratory's chains. Nobody is granted it: other functions of the owner call it.
-- Eight chains a laboratory: with one, every commit of a laboratory would wait for the one before to reach the disk.
-- Whoever finds a chain taken goes to the next, and triggers are deferred to the commit: so hardly anybody waits, and
-- not crosswise.
CREATE FUNCTION chromogen_append(of_lab text, by_subject text, did text, to_object text, with_outcome text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    of_chain smallint;
    key bigint;
    last_number bigint;
    last_hash text;
    moment timestamptz;
BEGIN
    FOR turn IN 0..8 LOOP
        of_chain := (pg_backend_pid() + turn) % 8;
        key := hashtextextended('chromogen audit ' || of_chain || ' ' || of_lab, 0);
        IF turn = 8 THEN
            PERFORM pg_advisory_xact_lock(key);
        ELSIF pg_try_advisory_xact_lock(key) THEN
            EXIT;
        END IF;
    END LOOP;
    SELECT number, hash INTO last_number, last_hash FROM audit
        WHERE lab = of_lab AND chain = of_chain ORDER BY number DESC LIMIT 1;
    last_number := coalesce(last_number, 0) + 1;
    last_hash := coalesce(last_hash, '');
    moment := clock_timestamp();
    INSERT INTO audit (lab, chain, number, at, subject, action, object, outcome, hash)
    VALUES (of_lab, of_chain, last_number, moment, by_subject, did, to_object, with_outcome, chromogen_digest(
        last_hash, of_lab, of_chain::text, last_number::text, (extract(epoch FROM moment) * 1000000)::bigint::text,
        by_subject, did, to_object, with_outcome));
END;
$$;
