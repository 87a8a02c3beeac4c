-- SHA-256 of all parts, each with its length (server/store/audit.py computes the same).
CREATE FUNCTION chromogen_digest(VARIADIC parts text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT encode(sha256(convert_to(string_agg(octet_length(part) || ':' || part, '' ORDER BY i), 'UTF8')), 'hex')
    FROM unnest(parts) WITH ORDINALITY AS each(part, i);
END;
