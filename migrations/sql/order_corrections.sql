-- What an order says is corrected, by a new message, while it waits or when it is begun anew: of the same patient and
-- specimen.
CREATE FUNCTION chromogen_check_correction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'QUEUED'
        OR NOT (OLD.state = 'QUEUED' AND NEW.run = OLD.run AND NEW.repeats <> OLD.repeats
            OR NEW.run = OLD.run + 1 AND (OLD.state IN ('REFUSED', 'DEAD', 'CANCELLED')
                OR EXISTS (SELECT FROM results WHERE id = OLD.result_id AND control ->> 'withheld' <> '')))
        OR NEW.patient ->> 'id' IS DISTINCT FROM OLD.patient ->> 'id'
        OR NEW.patient ->> 'id_authority' IS DISTINCT FROM OLD.patient ->> 'id_authority'
        OR NEW.specimen ->> 'id' IS DISTINCT FROM OLD.specimen ->> 'id'
    THEN
        RAISE EXCEPTION 'an order is corrected by a message while it waits or when it is begun anew; its patient and specimen stay'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER orders_check_correction
    BEFORE UPDATE OF patient, specimen, procedure_code, procedure_text, charset, requested_at ON orders FOR EACH ROW
    WHEN (ROW(OLD.patient, OLD.specimen, OLD.procedure_code, OLD.procedure_text, OLD.charset, OLD.requested_at)
        IS DISTINCT FROM
        ROW(NEW.patient, NEW.specimen, NEW.procedure_code, NEW.procedure_text, NEW.charset, NEW.requested_at))
    EXECUTE FUNCTION chromogen_check_correction();
