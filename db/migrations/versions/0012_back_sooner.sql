-- A suspension may end before its time: once nobody has begun or prolonged it for 1 s, the longest pause after which a worker tries
-- Redis again, and nobody who counts on it is still to commit. Such a writer has the shared lock 7392 from before it looks whether
-- the suspension stands until its transaction has ended. Those of a version that did not take it are gone 10 s from now.
ALTER TABLE cache_state ADD ends_from timestamptz NOT NULL DEFAULT clock_timestamp() + interval '10 s';

-- As in 0001, and `ends_from`.
CREATE OR REPLACE FUNCTION cache_suspend(fence_s double precision, lease interval) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE s cache_state; now_ timestamptz;
BEGIN
  SELECT * INTO s FROM cache_state FOR UPDATE;
  now_ := clock_timestamp();
  IF s.suspended_until <= now_ THEN s.suspended_from := now_; END IF;
  UPDATE cache_state SET suspended_from = s.suspended_from, suspended_until = greatest(s.suspended_until, now_ + lease),
    ends_from = greatest(s.ends_from, now_ + interval '1 s');
  RETURN greatest(0, fence_s - extract(epoch FROM now_ - s.suspended_from));
END $$;

-- As in 0003, and the lock: it comes first, so that what is read after it stays so.
CREATE OR REPLACE FUNCTION cache_covered(fence_s double precision) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE s cache_state; wait_s double precision;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(7392);
  SELECT * INTO s FROM cache_state;
  IF s.suspended_until >= clock_timestamp() + interval '3.5 s' THEN
    wait_s := greatest(0, fence_s - extract(epoch FROM clock_timestamp() - s.suspended_from));
  END IF;
  PERFORM set_config('idle_in_transaction_session_timeout', CASE wait_s WHEN 0 THEN '2500' ELSE '10000' END, true);
  RETURN wait_s;
END $$;

-- As in 0009. `>` before a run_id: the fence is on its way to that Redis, and stands there once every writer that may count on
-- another place has ended. Who holds there already, once holds count, need not wait for that.
CREATE OR REPLACE FUNCTION cache_ways(my_run_id text, OUT same_redis boolean, OUT holds_in_s double precision, OUT unused boolean)
LANGUAGE sql VOLATILE AS $$
  SELECT mine AND my_run_id <> '' AND s.holds_from <= clock_timestamp(),
    CASE WHEN mine AND s.holds_from > clock_timestamp()
      THEN greatest(0, extract(epoch FROM s.holds_from - clock_timestamp())) ELSE 0 END,
    s.in_use_until < clock_timestamp()
  FROM cache_state s, LATERAL (SELECT s.run_id IN (my_run_id, '>' || my_run_id)) AS of(mine)
$$;
