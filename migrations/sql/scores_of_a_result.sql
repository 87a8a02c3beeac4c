-- A score is of a result that is there, and of its laboratory. A foreign key would say so and look for each row: 33 a
-- result, a sixth of what finishing a case takes. As results are never changed nor deleted (append_only.sql), to look
-- once for each result holds the same.
CREATE FUNCTION chromogen_check_scores() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    scored record;
BEGIN
    FOR scored IN SELECT DISTINCT result_id, lab FROM added LOOP
        PERFORM FROM results WHERE id = scored.result_id AND lab = scored.lab;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'scores of a result that isn''t there: %', scored.result_id
                USING ERRCODE = 'foreign_key_violation';
        END IF;
    END LOOP;
    RETURN NULL;
END;
$$;

CREATE TRIGGER scores_of_a_result AFTER INSERT ON scores REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION chromogen_check_scores();
