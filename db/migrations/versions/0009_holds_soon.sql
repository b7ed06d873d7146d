-- As in 0003; and `holds_in_s`: on this Redis holds count once so many seconds are over, 0 when they do or never will. Who waits
-- that long need not suspend the cache for 4 s more.
DROP FUNCTION cache_pending(text);
DROP FUNCTION cache_ways(text);
CREATE FUNCTION cache_ways(my_run_id text, OUT same_redis boolean, OUT holds_in_s double precision, OUT unused boolean)
LANGUAGE sql VOLATILE AS $$
  SELECT s.run_id = my_run_id AND my_run_id <> '' AND s.holds_from <= clock_timestamp(),
    CASE WHEN s.run_id = my_run_id AND s.holds_from > clock_timestamp()
      THEN greatest(0, extract(epoch FROM s.holds_from - clock_timestamp())) ELSE 0 END,
    s.in_use_until < clock_timestamp()
  FROM cache_state s
$$;
CREATE FUNCTION cache_pending(
  my_run_id text, OUT xid text, OUT same_redis boolean, OUT holds_in_s double precision, OUT unused boolean, OUT tags text[])
LANGUAGE plpgsql AS $$
DECLARE mine xid8 := pg_current_xact_id_if_assigned();
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'writes need transactions that are READ COMMITTED, this one is %', upper(current_setting('transaction_isolation'));
  END IF;
  SELECT array(SELECT DISTINCT unnest(o.tags) FROM cache_outbox o WHERE o.xid = mine) INTO tags;
  SELECT w.same_redis, w.holds_in_s, w.unused INTO same_redis, holds_in_s, unused FROM cache_ways(my_run_id) w;
  IF cardinality(tags) > 0 AND (same_redis OR unused) THEN
    PERFORM pg_advisory_xact_lock_shared(7391);
    SELECT w.same_redis, w.holds_in_s, w.unused INTO same_redis, holds_in_s, unused FROM cache_ways(my_run_id) w;
  END IF;
  SELECT s.epoch || '-' || mine INTO xid FROM cache_state s;
  PERFORM set_config('idle_in_transaction_session_timeout', '5000', true);
END $$;
