-- A case's good end in one call, a transaction of its own: order DONE, its result, and what tells of it. False, and
-- nothing is written, where the claim is lost.
-- With the caller's rights: row-level security and the grants on the tables bind it as they bind statements. Columns by
-- name: one that a later migration adds gets its default, also from a worker that doesn't know it yet.
-- its_histograms has the name and shape of each, packed the counts of each, in the same order.
CREATE FUNCTION chromogen_finish(
    of_lab text, by_subject text, of_order uuid, its_token uuid, result jsonb, its_scores jsonb, its_histograms jsonb,
    packed bytea[], its_artifacts jsonb, deliveries jsonb
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
    INSERT INTO results (id, lab, order_id, predecessor, created_at, marker, clinical_region, profile, slide, model,
            tiles, seconds, tissue_mm2, analysis_warnings, warnings, software, choice, control,
            run)
        VALUES (kept.id, kept.lab, kept.order_id, kept.predecessor, kept.created_at, kept.marker, kept.clinical_region,
            kept.profile, kept.slide, kept.model, kept.tiles, kept.seconds, kept.tissue_mm2, kept.analysis_warnings,
            kept.warnings, kept.software, kept.choice, kept.control, kept.run);
    INSERT INTO scores (result_id, lab, position, measure, code, scheme, display, region, value, category, unit,
            interval_low, interval_high, n, comment, rule)
        SELECT kept.id, kept.lab, position, measure, code, scheme, display, region, value, category, unit,
            interval_low, interval_high, n, comment, rule
        FROM jsonb_populate_recordset(NULL::scores, its_scores);
    INSERT INTO histograms (result_id, lab, name, shape, counts)
        SELECT kept.id, kept.lab, named.name, named.shape, packed[named.i]
        FROM ROWS FROM (jsonb_to_recordset(its_histograms) AS (name text, shape integer[])) WITH ORDINALITY
            AS named (name, shape, i);
    INSERT INTO artifacts (lab, result_id, kind, path, sha256, identifier)
        SELECT kept.lab, kept.id, kind, path, sha256, identifier
        FROM jsonb_populate_recordset(NULL::artifacts, its_artifacts);
    INSERT INTO outbox (lab, order_id, result_id, destination, kind, message_id, path, sha256)
        SELECT kept.lab, of_order, kept.id, destination, kind, message_id, path, sha256
        FROM jsonb_populate_recordset(NULL::outbox, deliveries) ON CONFLICT DO NOTHING;
    RETURN true;
END;
$$;
