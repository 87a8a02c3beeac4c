-- Every change of an order's, result's, profile's or delivery's state is in the audit, at its commit: no code can forget
-- it.
CREATE FUNCTION chromogen_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_TABLE_NAME = 'orders' THEN
        PERFORM chromogen_append(NEW.lab, chromogen_subject(), CASE
            WHEN TG_OP = 'INSERT' THEN 'order.accept'
            WHEN NEW.state = 'RUNNING' THEN 'order.claim'
            WHEN NEW.state = 'DONE' THEN 'order.finish'
            WHEN NEW.state = 'QUEUED' THEN 'order.requeue'
            ELSE 'order.' || lower(NEW.state) END,
            'orders/' || NEW.id, concat_ws(' ', 'attempt', NEW.attempt, nullif(NEW.reason, '')));
    ELSIF TG_TABLE_NAME = 'results' THEN
        PERFORM chromogen_append(NEW.lab, chromogen_subject(), 'result.keep', 'results/' || NEW.id,
            concat_ws(' ', NEW.profile ->> 'name', NEW.profile ->> 'revision', 'orders/' || NEW.order_id));
    ELSIF TG_TABLE_NAME = 'signatures' THEN
        PERFORM chromogen_append(NEW.lab, NEW.subject, 'result.' || lower(NEW.state), 'results/' || NEW.result_id, '');
    ELSIF TG_TABLE_NAME = 'jobs' THEN
        PERFORM chromogen_append(NEW.lab, CASE TG_OP WHEN 'INSERT' THEN NEW.subject ELSE chromogen_subject() END,
            CASE TG_OP WHEN 'INSERT' THEN 'job.ask' ELSE 'job.' || lower(NEW.state) END, 'jobs/' || NEW.id,
            concat_ws(' ', NEW.kind, nullif(NEW.reason, '')));
    ELSIF TG_TABLE_NAME = 'comments' THEN
        PERFORM chromogen_append(NEW.lab, NEW.subject, 'result.comment', 'results/' || NEW.result_id, '');
    ELSIF TG_TABLE_NAME = 'estimates' THEN
        PERFORM chromogen_append(NEW.lab, NEW.subject, 'result.estimate', 'results/' || NEW.result_id,
            concat_ws(' ', NEW.region, CASE WHEN NEW.score_shown THEN 'after' ELSE 'before' END));
    ELSIF TG_TABLE_NAME = 'validations' THEN
        PERFORM chromogen_append(NEW.lab, NEW.subject, 'profile.validate', 'validations/' || NEW.id,
            concat_ws(' ', 'profiles/' || NEW.name, NEW.revision, NEW.marker));
    ELSIF TG_TABLE_NAME = 'validation_signatures' THEN
        PERFORM chromogen_append(NEW.lab, NEW.subject, 'validation.sign', 'validations/' || NEW.validation_id, '');
    ELSIF TG_TABLE_NAME = 'profiles' THEN
        PERFORM chromogen_append(NEW.lab, chromogen_subject(), 'profile.keep', 'profiles/' || NEW.name,
            NEW.revision::text);
    ELSIF TG_TABLE_NAME = 'profile_states' THEN
        PERFORM chromogen_append(NEW.lab, NEW.subject, 'profile.' || lower(NEW.state), 'profiles/' || NEW.name,
            NEW.revision::text);
    ELSIF TG_TABLE_NAME = 'control_ranges' THEN
        PERFORM chromogen_append(NEW.lab, NEW.subject, CASE WHEN NEW.retired THEN 'control.retire' ELSE 'control.set' END,
            'control_ranges/' || NEW.id, concat_ws(' ', NEW.marker, NEW.kind));
    ELSE
        PERFORM chromogen_append(NEW.lab, chromogen_subject(),
            CASE NEW.state WHEN 'WAITING' THEN 'delivery.replay' ELSE 'delivery.' || lower(NEW.state) END,
            'outbox/' || NEW.id, concat_ws(' ', NEW.kind, NEW.destination, nullif(NEW.reason, '')));
    END IF;
    RETURN NULL;
END;
$$;

CREATE CONSTRAINT TRIGGER orders_audit_insert AFTER INSERT ON orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER orders_audit_update AFTER UPDATE ON orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.state <> NEW.state OR OLD.token IS DISTINCT FROM NEW.token) EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER results_audit_insert AFTER INSERT ON results
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER signatures_audit_insert AFTER INSERT ON signatures
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER comments_audit_insert AFTER INSERT ON comments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER estimates_audit_insert AFTER INSERT ON estimates
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER profiles_audit_insert AFTER INSERT ON profiles
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER profile_states_audit_insert AFTER INSERT ON profile_states
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER control_ranges_audit_insert AFTER INSERT ON control_ranges
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER validations_audit_insert AFTER INSERT ON validations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER validation_signatures_audit_insert AFTER INSERT ON validation_signatures
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER jobs_audit_insert AFTER INSERT ON jobs
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER jobs_audit_update AFTER UPDATE ON jobs
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION chromogen_audit();
CREATE CONSTRAINT TRIGGER outbox_audit_update AFTER UPDATE ON outbox
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION chromogen_audit();
