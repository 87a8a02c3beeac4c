#!/bin/sh
# roles.sql with passwords from files, one a role: of PostgreSQL's container, at its first start (compose.yaml).
set -eu
folder=${SECRETS_FOLDER:-/run/secrets}

MIGRATE_PASSWORD=$(cat "$folder/migrate")
SERVE_PASSWORD=$(cat "$folder/serve")
WORK_PASSWORD=$(cat "$folder/work")
AUDIT_PASSWORD=$(cat "$folder/audit")
SCALE_PASSWORD=$(cat "$folder/scale")
export MIGRATE_PASSWORD SERVE_PASSWORD WORK_PASSWORD AUDIT_PASSWORD SCALE_PASSWORD

exec psql --no-psqlrc --no-password --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" \
    --dbname "${POSTGRES_DB:-chromogen}" --file "${ROLES:-/roles.sql}"
