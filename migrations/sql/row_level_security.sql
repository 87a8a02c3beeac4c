-- A transaction sees and adds rows of its laboratory alone; chromogen.lab '*' stands for all. Forced: the owner too.
DO $$
DECLARE of_a_lab text;
BEGIN
    FOREACH of_a_lab IN ARRAY ARRAY[
        'orders', 'results', 'scores', 'histograms', 'artifacts', 'outbox', 'signatures', 'audit', 'profiles',
        'profile_states', 'jobs', 'comments', 'web_sessions', 'control_ranges', 'rescore_requests',
        'validations', 'validation_signatures', 'estimates', 'ups_claims'
    ] LOOP
        EXECUTE format('CREATE POLICY lab ON %I USING (chromogen_lab() IN (lab, ''*''))', of_a_lab);
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', of_a_lab);
    END LOOP;
END;
$$;

-- Rows of laboratory * are seen by all, and changed by none.
CREATE POLICY shared ON profiles FOR SELECT USING (lab = '*' AND chromogen_lab() <> '');
CREATE POLICY shared ON profile_states FOR SELECT USING (lab = '*' AND chromogen_lab() <> '');
