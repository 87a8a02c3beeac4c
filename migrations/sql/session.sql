-- In whose name a transaction acts. Bodies are parsed here and now: a caller's search path changes nothing in them.
CREATE FUNCTION chromogen_lab() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN current_setting('chromogen.lab', true);

CREATE FUNCTION chromogen_subject() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(nullif(current_setting('chromogen.subject', true), ''), session_user);
