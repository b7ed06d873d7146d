-- The id of a punch carries its month (of UTC, counted from 2000) above a number, so that it is looked for in one partition.
-- Ids below 2^40 are from before: they stay, and are looked for in every month.
CREATE FUNCTION punch_id(punched_at timestamptz) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT ((CAST(extract(year FROM punched_at AT TIME ZONE 'UTC') AS bigint) - 2000) * 12
          + CAST(extract(month FROM punched_at AT TIME ZONE 'UTC') AS bigint)) * 1099511627776
         + nextval(pg_get_serial_sequence('punch', 'id'))
$$;

-- The event of a punch whose badge nobody has yet: known when it is handed in again, and kept when the badge is assigned.
ALTER TABLE punch_unmatched ADD client_event_id text;
CREATE INDEX punch_unmatched_event ON punch_unmatched(device_id, client_event_id);
