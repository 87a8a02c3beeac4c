-- A result with its scores, histograms and files, in the caller's transaction.
-- With the caller's rights: row-level security and the grants on the tables bind it as they bind statements. Columns by
-- name: one that a later migration adds gets its default, also from a worker that doesn't know it yet.
-- its_histograms has the name and shape of each, packed the counts of each, in the same order. JSON and not JSONB, which
-- would be built only to be read once.
CREATE FUNCTION chromogen_keep_result(
    its_id uuid, its_lab text, result json, its_scores json, its_histograms json, packed bytea[], its_artifacts json
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO results (id, lab, order_id, predecessor, created_at, marker, clinical_region, profile, slide, model,
            tiles, seconds, tissue_mm2, analysis_warnings, warnings, software, change, choice, control, run)
        SELECT its_id, its_lab, order_id, predecessor, created_at, marker, clinical_region, profile, slide, model,
            tiles, seconds, tissue_mm2, analysis_warnings, warnings, software, change, choice, control, run
        FROM json_populate_record(NULL::results, result);
    INSERT INTO scores (result_id, lab, position, measure, code, scheme, display, region, value, category, unit,
            interval_low, interval_high, n, comment, rule)
        SELECT its_id, its_lab, position, measure, code, scheme, display, region, value, category, unit,
            interval_low, interval_high, n, coalesce(comment, ''), coalesce(rule, '')
        FROM json_populate_recordset(NULL::scores, its_scores);
    INSERT INTO histograms (result_id, lab, name, shape, counts)
        SELECT its_id, its_lab, named.name, named.shape, packed[named.i]
        FROM ROWS FROM (json_to_recordset(its_histograms) AS (name text, shape integer[])) WITH ORDINALITY
            AS named (name, shape, i);
    INSERT INTO artifacts (lab, result_id, kind, path, sha256, identifier)
        SELECT its_lab, its_id, kind, path, sha256, identifier
        FROM json_populate_recordset(NULL::artifacts, its_artifacts);
END;
$$;
