-- A case's good end in one call, a transaction of its own: order DONE, its result and scores, and what tells of them.
-- False, and nothing is written, where the claim is lost.
-- With the caller's rights: row-level security and the grants on the tables bind it as they bind statements. Columns by
-- name: one that a later migration adds gets its default, also from a worker that doesn't know it yet.
CREATE FUNCTION chromogen_finish(
    of_lab text, by_subject text, of_order uuid, its_token uuid, result jsonb, hue_value bytea, density bytea,
    its_scores jsonb, deliveries jsonb
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    kept results := jsonb_populate_record(NULL::results, result);
BEGIN
    PERFORM set_config('chromogen.lab', of_lab, true), set_config('chromogen.subject', by_subject, true);
    UPDATE orders SET state = 'DONE', token = NULL, lease_until = NULL, result_id = kept.id, progress = 1,
            reason = '', detail = '', updated_at = now()
        WHERE id = of_order AND state = 'RUNNING' AND token = its_token;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO results (id, lab, order_id, predecessor, created_at, profile, slide, model, tiles, seconds, tissue_mm2,
            analysis_warnings, warnings, nuclei_file, software, hue_value, density)
        VALUES (kept.id, kept.lab, kept.order_id, kept.predecessor, kept.created_at, kept.profile, kept.slide,
            kept.model, kept.tiles, kept.seconds, kept.tissue_mm2, kept.analysis_warnings, kept.warnings,
            kept.nuclei_file, kept.software, hue_value, density);
    INSERT INTO scores (result_id, compartment, n, counts, h_score, h_score_low, h_score_high, percent_positive,
            allred_ps, allred_is, allred_total, irs)
        SELECT result_id, compartment, n, counts, h_score, h_score_low, h_score_high, percent_positive,
            allred_ps, allred_is, allred_total, irs
        FROM jsonb_populate_recordset(NULL::scores, its_scores);
    INSERT INTO outbox (lab, order_id, result_id, destination, kind, message_id, path, sha256)
        SELECT lab, order_id, result_id, destination, kind, message_id, path, sha256
        FROM jsonb_populate_recordset(NULL::outbox, deliveries) ON CONFLICT DO NOTHING;
    RETURN true;
END;
$$;
