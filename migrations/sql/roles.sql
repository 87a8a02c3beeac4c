-- The groups that accounts belong to (deploy/roles.sql makes them beforehand, where who migrates may make none).
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'chromogen_api', 'chromogen_worker', 'chromogen_audit', 'chromogen_scale', 'chromogen_service'
    ] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- another database of this server was migrated at the same time
        END;
    END LOOP;
    IF NOT pg_has_role('chromogen_service', 'chromogen_api', 'MEMBER') THEN
        GRANT chromogen_api, chromogen_worker TO chromogen_service;
    END IF;
END;
$$;
