-- As in 0012; who waits for the end of a fence may idle for 2.5 s longer than that, so that one who is frozen there does not keep the
-- lock, and the cache off, for 10 s. Before COMMIT it is 2.5 s as ever.
CREATE OR REPLACE FUNCTION cache_covered(fence_s double precision) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE s cache_state; wait_s double precision;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(7392);
  SELECT * INTO s FROM cache_state;
  IF s.suspended_until >= clock_timestamp() + interval '3.5 s' THEN
    wait_s := greatest(0, fence_s - extract(epoch FROM clock_timestamp() - s.suspended_from));
  END IF;
  PERFORM set_config('idle_in_transaction_session_timeout', (2500 + ceil(1000 * coalesce(wait_s, 0)))::int::text, true);
  RETURN wait_s;
END $$;
