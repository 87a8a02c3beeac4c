-- Is an order to be worked on? Asked by chromogen_take, by workers and by KEDA; inlined, so that orders_due_idx serves.
CREATE FUNCTION chromogen_is_due(state text, due_at timestamptz, lease_until timestamptz) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (state = 'QUEUED' AND due_at <= now()) OR (state = 'RUNNING' AND lease_until < now());
