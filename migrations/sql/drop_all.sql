DROP TABLE ups_claims, web_sessions, comments, estimates, control_ranges, rescore_requests, jobs, validation_signatures, validations, outbox,
    signatures, artifacts, histograms, scores, results, profile_states, profiles, orders, audit CASCADE;

DO $$
DECLARE item text;
BEGIN
    FOR item IN SELECT format('DROP TABLE %s CASCADE', oid::regclass) FROM pg_class
        WHERE relkind = 'r' AND relname LIKE 'procrastinate\_%' AND relnamespace = current_schema()::regnamespace
    LOOP EXECUTE item; END LOOP;
    FOR item IN SELECT format('DROP FUNCTION %s', oid::regprocedure) FROM pg_proc
        WHERE proname ~ '^(procrastinate|chromogen)_' AND pronamespace = current_schema()::regnamespace
    LOOP EXECUTE item; END LOOP;
    FOR item IN SELECT format('DROP TYPE %s', oid::regtype) FROM pg_type WHERE typname LIKE 'procrastinate\_%'
        AND typtype IN ('e', 'c') AND typnamespace = current_schema()::regnamespace
    LOOP EXECUTE item; END LOOP;
END;
$$;

REVOKE ALL ON alembic_version FROM chromogen_api, chromogen_worker;
