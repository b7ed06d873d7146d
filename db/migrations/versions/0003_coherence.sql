-- The cache protocol made exact; docs/explain/coherence.md says what each part closes.
ALTER TABLE cache_state
  ADD in_use_until timestamptz NOT NULL DEFAULT '-infinity',  -- a fence is renewed only well before this: after it nobody caches
  ADD holds_from timestamptz NOT NULL DEFAULT '-infinity';    -- until then a fence may be alive on the Redis that was left

-- Which PostgreSQL this is: another one after a restore, a promotion, a restart or a copy.
CREATE FUNCTION cache_server() RETURNS text LANGUAGE sql STABLE AS $$
  SELECT concat_ws('.', (SELECT system_identifier FROM pg_control_system()), (SELECT timeline_id FROM pg_control_checkpoint()),
    extract(epoch FROM pg_postmaster_start_time()), (SELECT oid FROM pg_database WHERE datname = current_database()),
    'cache_state'::regclass::oid)
$$;

-- Before COMMIT: what did this transaction touch, and how can it be withheld from readers? `same_redis`: by holding its tags
-- on the Redis that the fence lives on. `unused`: not at all, since nobody caches. The shared lock freezes either until the
-- transaction ends: the drain takes it exclusively to begin caching and to move the fence. `xid` carries the epoch, because a
-- restored PostgreSQL gives numbers of transactions out again. From here to COMMIT the session may idle for 5 s, half the
-- life of a hold.
DROP FUNCTION cache_pending(text);
CREATE FUNCTION cache_pending(my_run_id text, OUT xid text, OUT same_redis boolean, OUT unused boolean, OUT tags text[])
LANGUAGE plpgsql AS $$
DECLARE mine xid8 := pg_current_xact_id_if_assigned();
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'writes need transactions that are READ COMMITTED, this one is %', upper(current_setting('transaction_isolation'));
  END IF;
  SELECT array(SELECT DISTINCT unnest(o.tags) FROM cache_outbox o WHERE o.xid = mine) INTO tags;
  SELECT w.same_redis, w.unused INTO same_redis, unused FROM cache_ways(my_run_id) w;
  IF cardinality(tags) > 0 AND (same_redis OR unused) THEN
    PERFORM pg_advisory_xact_lock_shared(7391);
    SELECT w.same_redis, w.unused INTO same_redis, unused FROM cache_ways(my_run_id) w;
  END IF;
  SELECT s.epoch || '-' || mine INTO xid FROM cache_state s;
  PERFORM set_config('idle_in_transaction_session_timeout', '5000', true);
END $$;
CREATE FUNCTION cache_ways(my_run_id text, OUT same_redis boolean, OUT unused boolean) LANGUAGE sql VOLATILE AS $$
  SELECT s.run_id = my_run_id AND my_run_id <> '' AND s.holds_from <= clock_timestamp(), s.in_use_until < clock_timestamp()
  FROM cache_state s
$$;

-- After cache_suspend, in the writer's own transaction: the seconds until the last fence has surely lapsed, or NULL when the
-- suspension would end too soon to COMMIT under it. At 0 the session may idle for 2.5 s, a second less than is sure.
CREATE FUNCTION cache_covered(fence_s double precision) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE s cache_state; wait_s double precision;
BEGIN
  SELECT * INTO s FROM cache_state;
  IF s.suspended_until >= clock_timestamp() + interval '3.5 s' THEN
    wait_s := greatest(0, fence_s - extract(epoch FROM clock_timestamp() - s.suspended_from));
  END IF;
  PERFORM set_config('idle_in_transaction_session_timeout', CASE wait_s WHEN 0 THEN '2500' ELSE '10000' END, true);
  RETURN wait_s;
END $$;

-- The triggers of a table or of a partition, which a statement may name as well as its parent.
CREATE FUNCTION cache_watch(relation regclass, touch text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE event text; transition text;
BEGIN
  FOR event, transition IN VALUES ('insert', 'REFERENCING NEW TABLE AS new_rows'), ('delete', 'REFERENCING OLD TABLE AS old_rows'),
    ('update', 'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows'), ('truncate', '') LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER cache_%s AFTER %s ON %s %s FOR EACH STATEMENT EXECUTE FUNCTION %I()',
                   event, event, relation, transition, touch);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER cache_%s', relation, event);
  END LOOP;
END $$;

CREATE OR REPLACE FUNCTION make_partitions(first_month date, last_month date) RETURNS int LANGUAGE plpgsql AS $$
DECLARE m date; made int := 0; parent text; part text;
BEGIN
  PERFORM pg_advisory_xact_lock(7393);
  FOR m IN SELECT generate_series(date_trunc('month', first_month), last_month, interval '1 month')::date LOOP
    CONTINUE WHEN to_regclass('attendance_day_' || to_char(m, 'YYYYMM')) IS NOT NULL;
    EXECUTE format('CREATE TABLE attendance_day_%s PARTITION OF attendance_day FOR VALUES FROM (%L) TO (%L)',
                   to_char(m, 'YYYYMM'), m, (m + interval '1 month')::date);
    EXECUTE format('CREATE TABLE punch_%s PARTITION OF punch FOR VALUES FROM (%L) TO (%L)',
                   to_char(m, 'YYYYMM'), m::timestamp AT TIME ZONE 'UTC', (m + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    FOREACH parent IN ARRAY ARRAY['attendance_day', 'punch'] LOOP
      IF to_regproc('cache_touch_' || parent) IS NOT NULL THEN
        PERFORM cache_watch(format('%I', parent || to_char(m, '_YYYYMM'))::regclass, 'cache_touch_' || parent);
      END IF;
    END LOOP;
    made := made + 1;
  END LOOP;
  RETURN made;
END $$;
