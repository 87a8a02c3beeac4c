-- What it is to have an order: RUNNING, one attempt more, under a new token and a lease. The caller holds its row locked.
CREATE FUNCTION chromogen_begin(of_order uuid, lease_s double precision, new_token uuid) RETURNS SETOF orders
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY UPDATE orders
        SET state = 'RUNNING', token = new_token, attempt = attempt + 1, progress = 0, ending = NULL,
            lease_until = now() + make_interval(secs => lease_s), updated_at = now()
        WHERE id = of_order RETURNING *;
END;
$$;

-- The most urgent due order under a new token, or none; those that other workers are just taking are passed over, and
-- those whose rank is above least_urgent.
-- One call, a transaction of its own: as statements of ours it was eight exchanges with the server, parsed and planned
-- anew for every case.
-- Sorting is off for its statements: to take the first of a queue PostgreSQL else prefers to sort all of it where it
-- takes it for short. It can't estimate a policy, and a queue grows faster than its statistics.
CREATE FUNCTION chromogen_take(
    by_subject text, lease_s double precision, most integer, least_urgent integer, new_token uuid
) RETURNS SETOF orders LANGUAGE plpgsql SET enable_sort TO off AS $$
DECLARE
    taken uuid;
BEGIN
    PERFORM set_config('chromogen.lab', '*', true), set_config('chromogen.subject', by_subject, true);
    SELECT id INTO taken FROM orders
        WHERE rank <= least_urgent AND chromogen_is_due(state, due_at, lease_until)
            AND NOT chromogen_is_abandoned(state, lease_until, attempt, ending, most)
        ORDER BY rank, received_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    RETURN QUERY SELECT * FROM chromogen_begin(taken, lease_s, new_token);
END;
$$;
