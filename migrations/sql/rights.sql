-- What each group may do; all others may do nothing.
GRANT SELECT ON orders, profiles, profile_states, control_ranges, rescore_requests, results, scores, histograms, artifacts, signatures, outbox,
    alembic_version TO chromogen_api, chromogen_worker;
GRANT INSERT ON orders, profiles, profile_states, control_ranges, rescore_requests, results, scores, histograms, artifacts, signatures, outbox
    TO chromogen_api;
GRANT SELECT, INSERT ON comments, estimates TO chromogen_api;
GRANT SELECT, INSERT, DELETE, UPDATE (seen_at) ON web_sessions TO chromogen_api;
GRANT SELECT, INSERT, UPDATE (order_id, outcome) ON ups_claims TO chromogen_api;
GRANT INSERT ON results, scores, histograms, artifacts, outbox TO chromogen_worker;

GRANT UPDATE (state, attempt, token, lease_until, due_at, progress, reason, detail, result_id, updated_at, run, begun_at,
    repeats, priority, rank, ending) ON orders TO chromogen_api, chromogen_worker;
GRANT UPDATE (patient, specimen, procedure_code, procedure_text, charset, requested_at) ON orders TO chromogen_api;
GRANT SELECT ON validations, validation_signatures TO chromogen_api, chromogen_worker;
GRANT INSERT ON validations, validation_signatures TO chromogen_api;
GRANT SELECT ON jobs TO chromogen_api, chromogen_worker;
GRANT INSERT ON jobs TO chromogen_api;
GRANT UPDATE (state, progress, outcome, reason, detail, attempt, token, lease_until, updated_at) ON jobs
    TO chromogen_worker;
GRANT UPDATE (state, attempts, errors, due_at, token, lease_until, reason, created_at, ended_at) ON outbox
    TO chromogen_api, chromogen_worker;

GRANT SELECT ON audit TO chromogen_api, chromogen_audit;
GRANT SELECT (state, rank, due_at, lease_until) ON orders TO chromogen_scale;
GRANT SELECT (state, destination, created_at) ON outbox TO chromogen_scale;

-- PostgreSQL lets everybody execute a new function, and attach a trigger's to a table of their own.
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
END;
$$;
GRANT EXECUTE ON FUNCTION chromogen_lab, chromogen_subject
    TO chromogen_api, chromogen_worker, chromogen_audit, chromogen_scale;
GRANT EXECUTE ON FUNCTION chromogen_is_due TO chromogen_api, chromogen_worker, chromogen_scale;
GRANT EXECUTE ON FUNCTION chromogen_keep_result TO chromogen_api, chromogen_worker;
GRANT EXECUTE ON FUNCTION chromogen_is_abandoned, chromogen_take, chromogen_finish TO chromogen_worker;
GRANT EXECUTE ON FUNCTION chromogen_note TO chromogen_api;

DO $$
DECLARE ours regclass; doing regprocedure;
BEGIN
    FOR ours IN SELECT oid FROM pg_class WHERE relname LIKE 'procrastinate\_%'
        AND relkind IN ('r', 'S') AND relnamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('GRANT ALL ON %s TO chromogen_api, chromogen_worker', ours);
    END LOOP;
    FOR doing IN SELECT oid FROM pg_proc WHERE proname LIKE 'procrastinate\_%'
        AND pronamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO chromogen_api, chromogen_worker', doing);
    END LOOP;
END;
$$;

-- A temporary table may bear the name of one of ours. Only its owner takes this from a database: where that isn't who
-- migrates, deploy/roles.sql did.
DO $$
BEGIN
    IF (SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
END;
$$;
