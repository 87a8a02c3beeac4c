-- The caller's order, RUNNING, one attempt more, under a new token and a lease; none where none is due. It is the one
-- that is `wanted`, for which it waits while another looks at it, or, where none is, the most urgent one whose rank isn't
-- above least_urgent: those that other workers are just taking are passed over.
-- One call, a transaction of its own: as statements of ours it was eight exchanges with the server, parsed and planned
-- anew for every case.
-- Sorting is off for its statements: to take the first of a queue PostgreSQL else prefers to sort all of it where it
-- takes it for short. It can't estimate a policy, and a queue grows faster than its statistics.
CREATE FUNCTION chromogen_take(
    by_subject text, lease_s double precision, most integer, least_urgent integer, new_token uuid,
    wanted uuid DEFAULT NULL
) RETURNS SETOF orders LANGUAGE plpgsql SET enable_sort TO off AS $$
DECLARE
    taken uuid;
BEGIN
    PERFORM set_config('chromogen.lab', '*', true), set_config('chromogen.subject', by_subject, true);
    IF wanted IS NULL THEN
        SELECT id INTO taken FROM orders
            WHERE rank <= least_urgent AND chromogen_is_due(state, due_at, lease_until)
                AND NOT chromogen_is_abandoned(state, lease_until, attempt, ending, most)
            ORDER BY rank, received_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    ELSE
        SELECT id INTO taken FROM orders
            WHERE id = wanted AND chromogen_is_due(state, due_at, lease_until)
                AND NOT chromogen_is_abandoned(state, lease_until, attempt, ending, most)
            FOR NO KEY UPDATE;
    END IF;
    RETURN QUERY UPDATE orders
        SET state = 'RUNNING', token = new_token, attempt = attempt + 1, progress = 0, ending = NULL,
            lease_until = now() + make_interval(secs => lease_s), updated_at = now()
        WHERE id = taken RETURNING *;
END;
$$;
