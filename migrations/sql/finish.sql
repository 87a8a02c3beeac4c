-- A case's good end in one call, a transaction of its own: order DONE, its result, and what tells of it. False, and
-- nothing is written, where the claim is lost.
-- With the caller's rights, as chromogen_keep_result.
CREATE FUNCTION chromogen_finish(
    of_lab text, by_subject text, of_order uuid, its_token uuid, its_result uuid, result json, its_scores json,
    its_histograms json, packed bytea[], its_artifacts json, deliveries json
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('chromogen.lab', of_lab, true), set_config('chromogen.subject', by_subject, true);
    UPDATE orders SET state = 'DONE', token = NULL, lease_until = NULL, result_id = its_result, progress = 1,
            reason = '', detail = '', updated_at = now()
        WHERE id = of_order AND state = 'RUNNING' AND token = its_token;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM chromogen_keep_result(its_result, of_lab, result, its_scores, its_histograms, packed, its_artifacts);
    INSERT INTO outbox (lab, order_id, result_id, destination, kind, message_id, path, sha256)
        SELECT of_lab, of_order, its_result, destination, kind, message_id, path, sha256
        FROM json_populate_recordset(NULL::outbox, deliveries) ON CONFLICT DO NOTHING;
    RETURN true;
END;
$$;
