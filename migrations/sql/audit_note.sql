-- What the audit must hold beside changes, which its triggers see themselves. Laboratory and subject are the session's,
-- and what the triggers say can't be said by it.
CREATE FUNCTION chromogen_note(did text, to_object text, with_outcome text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF did IS NULL OR did NOT IN ('order.correct', 'patient.read', 'call.refuse', 'result.read',
        'slide.read', 'report.read', 'session.begin', 'session.end') THEN
        RAISE EXCEPTION '% is not to be noted by a caller', did USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM chromogen_append(chromogen_lab(), chromogen_subject(), did, to_object, with_outcome);
END;
$$;
