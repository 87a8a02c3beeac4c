-- SHA-256 of all parts, each with its length (server/store/audit.py computes the same). Null where one is null.
-- In plpgsql: as one SQL statement it took twice as long, and each change of an order waits for it.
CREATE FUNCTION chromogen_digest(VARIADIC parts text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    part text;
    whole text := '';
BEGIN
    FOREACH part IN ARRAY parts LOOP
        whole := whole || octet_length(part) || ':' || part;
    END LOOP;
    RETURN encode(sha256(convert_to(whole, 'UTF8')), 'hex');
END;
$$;
