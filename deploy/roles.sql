-- The roles of a database, once, by its administrator, in the database that chromogen gets (before `chromogen migrate`):
--
--     MIGRATE_PASSWORD=... SERVE_PASSWORD=... WORK_PASSWORD=... AUDIT_PASSWORD=... SCALE_PASSWORD=... \
--         psql --set ON_ERROR_STOP=1 --file roles.sql DATABASE
--
-- (roles.sh does this with passwords from files.)
--
-- Whoever migrates owns the tables and is nothing else; the services connect as members of a group that row-level security
-- binds, and refuse to start as anybody else. Needs psql 15 or newer (\getenv).

\getenv migrate_password MIGRATE_PASSWORD
\getenv serve_password SERVE_PASSWORD
\getenv work_password WORK_PASSWORD
\getenv audit_password AUDIT_PASSWORD
\getenv scale_password SCALE_PASSWORD

CREATE ROLE chromogen_api NOLOGIN;      -- takes orders, reads, signs
CREATE ROLE chromogen_worker NOLOGIN;   -- runs cases
CREATE ROLE chromogen_audit NOLOGIN;    -- reads the audit
CREATE ROLE chromogen_scale NOLOGIN;    -- counts what is due, and sees nothing of it
CREATE ROLE chromogen_service NOLOGIN IN ROLE chromogen_api, chromogen_worker;  -- an installation with one account

CREATE ROLE chromogen_migrate LOGIN PASSWORD :'migrate_password';
CREATE ROLE chromogen_serve LOGIN IN ROLE chromogen_api PASSWORD :'serve_password';
CREATE ROLE chromogen_work LOGIN IN ROLE chromogen_worker PASSWORD :'work_password';
CREATE ROLE chromogen_auditor LOGIN IN ROLE chromogen_audit PASSWORD :'audit_password';
CREATE ROLE chromogen_scaler LOGIN IN ROLE chromogen_scale PASSWORD :'scale_password';

-- Those two look at all laboratories, and can't say so at each statement.
ALTER ROLE chromogen_auditor SET chromogen.lab = '*';
ALTER ROLE chromogen_scaler SET chromogen.lab = '*';

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO PUBLIC;
GRANT CREATE ON SCHEMA public TO chromogen_migrate;

-- A temporary table may bear the name of one of chromogen's; none of its accounts needs any.
SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()) \gexec
