-- Rows of these tables are added, and never changed.
CREATE FUNCTION chromogen_no_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', TG_TABLE_NAME;
END;
$$;

CREATE TRIGGER profiles_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON profiles
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER profile_states_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON profile_states
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER rescore_requests_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON rescore_requests
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER control_ranges_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON control_ranges
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER results_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON results
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER scores_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON scores
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER histograms_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON histograms
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER artifacts_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON artifacts
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER signatures_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON signatures
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER comments_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON comments
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER estimates_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON estimates
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER validations_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON validations
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER validation_signatures_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON validation_signatures
    EXECUTE FUNCTION chromogen_no_change();
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    EXECUTE FUNCTION chromogen_no_change();
