-- The whole data model: organisation, access, shifts, punches, derived days and their roll-up, leave, cache outbox.
-- One PostgreSQL enum = one GraphQL enum, same labels; a column is called what the row field and the GraphQL field are.
CREATE TYPE employment_type  AS ENUM ('FULL_TIME','PART_TIME','CONTRACT','INTERN','CASUAL');
CREATE TYPE employee_status  AS ENUM ('ACTIVE','SUSPENDED','TERMINATED');
CREATE TYPE role_name        AS ENUM ('EMPLOYEE','MANAGER','HR','PAYROLL','ANALYST','AUDITOR','ADMIN','DEVICE');
CREATE TYPE day_type         AS ENUM ('WORKING','WEEKLY_OFF','HOLIDAY');
CREATE TYPE day_status       AS ENUM ('PENDING','PRESENT','HALF_DAY','ABSENT','ON_LEAVE','WEEKLY_OFF','HOLIDAY','INCOMPLETE');
CREATE TYPE work_mode        AS ENUM ('ONSITE','REMOTE','ON_DUTY');
CREATE TYPE punch_direction  AS ENUM ('IN','OUT','BREAK_START','BREAK_END','UNKNOWN');
CREATE TYPE punch_source     AS ENUM ('DEVICE','KIOSK','WEB','MOBILE','API','IMPORT','CORRECTION','AUTO_CLOSE');
CREATE TYPE presence_state   AS ENUM ('IN','OUT','ON_BREAK','NOT_EXPECTED','ON_LEAVE','LATE_NOT_IN');
CREATE TYPE pairing_mode     AS ENUM ('FIRST_LAST','ALTERNATING','DIRECTED');
CREATE TYPE break_policy     AS ENUM ('NONE','AUTO','PUNCHED','GREATER');
CREATE TYPE missing_punch    AS ENUM ('FLAG','HALF_DAY','ABSENT','AUTO_CLOSE');
CREATE TYPE request_status   AS ENUM ('DRAFT','PENDING','APPROVED','REJECTED','WITHDRAWN','EXPIRED','CANCELLED');
CREATE TYPE half_of_day      AS ENUM ('FIRST','SECOND');
CREATE TYPE overtime_kind    AS ENUM ('WORKDAY','WEEKLY_OFF','HOLIDAY');
CREATE TYPE plan_origin      AS ENUM ('ROSTER','ASSIGNMENT','DEFAULT');
CREATE TYPE period_state     AS ENUM ('OPEN','REVIEW','LOCKED');

-- ---------- organisation ----------
CREATE TABLE work_week(
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code citext UNIQUE NOT NULL, name text NOT NULL);
CREATE TABLE work_week_off(                             -- what is off, e.g. the 2nd and 4th Saturday
  work_week_id int NOT NULL REFERENCES work_week ON DELETE CASCADE,
  iso_weekday smallint NOT NULL CHECK (iso_weekday BETWEEN 1 AND 7),
  weeks_of_month smallint NOT NULL DEFAULT 31 CHECK (weeks_of_month BETWEEN 1 AND 31),  -- bit i: (i+1)-th of the month
  half half_of_day,                                     -- NULL = whole day
  PRIMARY KEY(work_week_id, iso_weekday, weeks_of_month));
CREATE TABLE location(
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code citext UNIQUE NOT NULL CHECK (code <> ''), name text NOT NULL CHECK (name <> ''),
  time_zone text NOT NULL, work_week_id int NOT NULL REFERENCES work_week,
  latitude double precision CHECK (latitude BETWEEN -90 AND 90), longitude double precision CHECK (longitude BETWEEN -180 AND 180),
  geofence_metres int CHECK (geofence_metres > 0), version int NOT NULL DEFAULT 1);
CREATE TABLE holiday(
  location_id int NOT NULL REFERENCES location ON DELETE CASCADE, date date NOT NULL, name text NOT NULL CHECK (name <> ''),
  half half_of_day, optional boolean NOT NULL DEFAULT false, PRIMARY KEY(location_id, date));
CREATE TABLE department(
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code citext UNIQUE NOT NULL CHECK (code <> ''), name text NOT NULL CHECK (name <> ''),
  parent_id int REFERENCES department, manager_id bigint, version int NOT NULL DEFAULT 1, CHECK (parent_id <> id));
CREATE INDEX ON department(parent_id);
CREATE TABLE shift(
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code citext UNIQUE NOT NULL CHECK (code <> ''), name text NOT NULL CHECK (name <> ''),
  color text, version int NOT NULL DEFAULT 1);
CREATE TABLE shift_rule(                                -- effective-dated: editing a rule never rewrites the past
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shift_id int NOT NULL REFERENCES shift ON DELETE CASCADE,
  valid_from date NOT NULL, valid_to date,              -- inclusive; NULL = open
  start_time time NOT NULL, end_time time NOT NULL, is_flexible boolean NOT NULL,
  expected_minutes smallint CHECK (expected_minutes BETWEEN 0 AND 1440),   -- NULL = elapsed span less the break
  half_split time,                                      -- NULL = midpoint
  window_before_minutes smallint NOT NULL CHECK (window_before_minutes BETWEEN 0 AND 1440),
  window_after_minutes smallint NOT NULL CHECK (window_after_minutes BETWEEN 0 AND 1440),
  grace_in_minutes smallint NOT NULL CHECK (grace_in_minutes BETWEEN 0 AND 720),
  grace_out_minutes smallint NOT NULL CHECK (grace_out_minutes BETWEEN 0 AND 720),
  late_from_grace boolean NOT NULL,
  half_day_below_minutes smallint CHECK (half_day_below_minutes BETWEEN 0 AND 1440),
  absent_below_minutes smallint CHECK (absent_below_minutes BETWEEN 0 AND 1440),
  break_minutes smallint NOT NULL CHECK (break_minutes BETWEEN 0 AND 720),
  break_after_minutes smallint NOT NULL CHECK (break_after_minutes BETWEEN 0 AND 1440),
  break_policy break_policy NOT NULL, pairing pairing_mode NOT NULL,
  dedupe_seconds smallint NOT NULL CHECK (dedupe_seconds BETWEEN 0 AND 3600), count_early_arrival boolean NOT NULL,
  overtime_min_minutes smallint NOT NULL CHECK (overtime_min_minutes BETWEEN 0 AND 1440),
  overtime_step_minutes smallint NOT NULL CHECK (overtime_step_minutes BETWEEN 1 AND 720),
  overtime_max_minutes smallint CHECK (overtime_max_minutes BETWEEN 0 AND 1440),
  missing_out missing_punch NOT NULL, max_session_minutes smallint NOT NULL CHECK (max_session_minutes BETWEEN 1 AND 2880),
  CHECK (valid_to >= valid_from), CHECK (absent_below_minutes <= half_day_below_minutes),
  CONSTRAINT shift_rule_overlap EXCLUDE USING gist (shift_id WITH =, daterange(valid_from, valid_to, '[]') WITH &&));

CREATE TABLE employee(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  employee_no citext UNIQUE NOT NULL CHECK (employee_no <> ''), full_name text NOT NULL CHECK (full_name <> ''),
  email citext UNIQUE, badge_no text UNIQUE,
  status employee_status NOT NULL DEFAULT 'ACTIVE', employment_type employment_type NOT NULL DEFAULT 'FULL_TIME', designation text,
  department_id int NOT NULL REFERENCES department, location_id int NOT NULL REFERENCES location,   -- today's posting
  manager_id bigint REFERENCES employee, default_shift_id int REFERENCES shift, time_zone text,     -- NULL = the location's
  hired_on date NOT NULL, left_on date, version int NOT NULL DEFAULT 1,
  CHECK (left_on >= hired_on), CHECK (manager_id <> id));
ALTER TABLE department ADD FOREIGN KEY(manager_id) REFERENCES employee ON DELETE SET NULL;
CREATE INDEX ON department(manager_id);
CREATE INDEX ON employee(department_id, id);
CREATE INDEX ON employee(location_id, id);
CREATE INDEX ON employee(manager_id, id);
CREATE INDEX employee_by_name ON employee(full_name, id);
CREATE INDEX employee_by_hired ON employee(hired_on, id);
CREATE INDEX employee_search ON employee USING gin ((full_name || ' ' || employee_no::text || ' ' || coalesce(email::text, '')) gin_trgm_ops);
CREATE TABLE employee_posting(                          -- department, location and manager as they were
  employee_id bigint NOT NULL REFERENCES employee ON DELETE CASCADE, valid_from date NOT NULL, valid_to date,
  department_id int NOT NULL REFERENCES department, location_id int NOT NULL REFERENCES location, manager_id bigint REFERENCES employee,
  PRIMARY KEY(employee_id, valid_from), CHECK (valid_to >= valid_from),
  CONSTRAINT employee_posting_overlap EXCLUDE USING gist (employee_id WITH =, daterange(valid_from, valid_to, '[]') WITH &&));
CREATE TABLE shift_assignment(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, employee_id bigint NOT NULL REFERENCES employee ON DELETE CASCADE,
  shift_id int NOT NULL REFERENCES shift, valid_from date NOT NULL, valid_to date,
  iso_weekdays smallint NOT NULL DEFAULT 127 CHECK (iso_weekdays BETWEEN 1 AND 127),   -- bit 0 = Monday
  CHECK (valid_to >= valid_from));
CREATE INDEX ON shift_assignment(employee_id, valid_from);
CREATE TABLE roster_day(                                -- beats the assignment; shift NULL = explicitly off
  employee_id bigint NOT NULL REFERENCES employee ON DELETE CASCADE, work_date date NOT NULL, shift_id int REFERENCES shift,
  PRIMARY KEY(employee_id, work_date));

-- two assignments of an employee may not claim the same weekday of overlapping dates
CREATE FUNCTION shift_assignment_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(7392, NEW.employee_id::int);   -- two writers of one employee cannot both see no overlap
  IF EXISTS (SELECT FROM shift_assignment a WHERE a.employee_id = NEW.employee_id AND a.id <> NEW.id AND (a.iso_weekdays & NEW.iso_weekdays) <> 0
             AND daterange(a.valid_from, a.valid_to, '[]') && daterange(NEW.valid_from, NEW.valid_to, '[]')) THEN
    RAISE EXCEPTION 'assignments overlap' USING ERRCODE = '23P01', CONSTRAINT = 'shift_assignment_overlap';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER shift_assignment_overlap BEFORE INSERT OR UPDATE ON shift_assignment FOR EACH ROW EXECUTE FUNCTION shift_assignment_guard();

-- ---------- access ----------
CREATE TABLE app_user(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email citext UNIQUE NOT NULL, password_hash text,
  employee_id bigint UNIQUE REFERENCES employee, is_active boolean NOT NULL DEFAULT true, token_epoch int NOT NULL DEFAULT 0);
CREATE TABLE user_identity(                             -- who a foreign OpenID provider says it is
  issuer text NOT NULL, subject text NOT NULL, user_id bigint NOT NULL REFERENCES app_user ON DELETE CASCADE, PRIMARY KEY(issuer, subject));
CREATE TABLE role_grant(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL REFERENCES app_user ON DELETE CASCADE,
  role role_name NOT NULL, department_id int REFERENCES department, location_id int REFERENCES location,  -- both NULL = everyone
  expires_at timestamptz, granted_by bigint REFERENCES app_user, granted_at timestamptz NOT NULL DEFAULT now());
CREATE UNIQUE INDEX role_grant_once ON role_grant(user_id, role, coalesce(department_id, 0), coalesce(location_id, 0));
CREATE TABLE device(
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code citext UNIQUE NOT NULL, location_id int NOT NULL REFERENCES location,
  is_active boolean NOT NULL DEFAULT true);

-- ---------- punches: append-only, partitioned by month ----------
CREATE TABLE punch(
  id bigint GENERATED BY DEFAULT AS IDENTITY, employee_id bigint NOT NULL REFERENCES employee, punched_at timestamptz NOT NULL,
  direction punch_direction NOT NULL DEFAULT 'UNKNOWN', source punch_source NOT NULL, device_id int REFERENCES device,
  client_event_id text, latitude double precision, longitude double precision, note text, outside_geofence boolean NOT NULL DEFAULT false,
  voided_at timestamptz, voided_by bigint, void_reason text,
  PRIMARY KEY(id, punched_at), CHECK ((voided_at IS NULL) = (void_reason IS NULL))) PARTITION BY RANGE(punched_at);
-- one physical punch exists once, however often the device log is pulled or the file uploaded
CREATE UNIQUE INDEX punch_once ON punch(employee_id, punched_at, direction) WHERE voided_at IS NULL;
CREATE INDEX punch_by_employee ON punch(employee_id, punched_at);
CREATE TABLE punch_unmatched(                           -- the badge is not known (yet): kept, tried again when it is registered
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, badge_no text NOT NULL, punched_at timestamptz NOT NULL,
  direction punch_direction NOT NULL, device_id int NOT NULL REFERENCES device, UNIQUE(badge_no, punched_at, direction));

-- ---------- leave: tables now, workflows later ----------
CREATE TABLE leave_type(
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code citext UNIQUE NOT NULL, name text NOT NULL, paid boolean NOT NULL DEFAULT true,
  allow_half_day boolean NOT NULL DEFAULT true);
CREATE TABLE leave_request(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, employee_id bigint NOT NULL REFERENCES employee, leave_type_id int NOT NULL REFERENCES leave_type,
  start_date date NOT NULL, end_date date NOT NULL, start_half half_of_day NOT NULL DEFAULT 'FIRST', end_half half_of_day NOT NULL DEFAULT 'SECOND',
  slots int4range GENERATED ALWAYS AS (int4range(
    (start_date - DATE '2000-01-01') * 2 + CASE WHEN start_half = 'FIRST' THEN 0 ELSE 1 END,
    (end_date - DATE '2000-01-01') * 2 + CASE WHEN end_half = 'FIRST' THEN 1 ELSE 2 END)) STORED,   -- one unit = half a day
  reason text, status request_status NOT NULL DEFAULT 'PENDING', version int NOT NULL DEFAULT 1, created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (end_date >= start_date), CHECK (NOT isempty(slots)),
  CONSTRAINT leave_request_overlap EXCLUDE USING gist (employee_id WITH =, slots WITH &&) WHERE (status IN ('PENDING','APPROVED')));

-- ---------- the derived day: natural key, partitioned by month ----------
CREATE TABLE attendance_override(                       -- what a person decided against the punches
  employee_id bigint NOT NULL REFERENCES employee ON DELETE CASCADE, work_date date NOT NULL, status day_status NOT NULL,
  work_mode work_mode, reason text NOT NULL CHECK (reason <> ''), created_by bigint REFERENCES app_user, created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY(employee_id, work_date), CHECK (status NOT IN ('PENDING','INCOMPLETE')));
CREATE TABLE attendance_day(
  employee_id bigint NOT NULL, work_date date NOT NULL,
  department_id int NOT NULL, location_id int NOT NULL, manager_id bigint, shift_id int, shift_rule_id int, time_zone text NOT NULL,   -- as they were
  day_type day_type NOT NULL, status day_status NOT NULL, work_mode work_mode NOT NULL DEFAULT 'ONSITE',
  starts_at timestamptz, ends_at timestamptz, first_in timestamptz, last_out timestamptz,
  presence presence_state, presence_since timestamptz,  -- after the last punch: IN, OUT or ON_BREAK
  expected_minutes smallint NOT NULL DEFAULT 0, worked_minutes smallint NOT NULL DEFAULT 0, break_minutes smallint NOT NULL DEFAULT 0,
  late_minutes smallint NOT NULL DEFAULT 0, early_exit_minutes smallint NOT NULL DEFAULT 0,
  overtime_minutes smallint NOT NULL DEFAULT 0, overtime_approved_minutes smallint NOT NULL DEFAULT 0, overtime_kind overtime_kind,
  present_halves smallint NOT NULL DEFAULT 0, leave_halves smallint NOT NULL DEFAULT 0,
  absent_halves smallint NOT NULL DEFAULT 0, off_halves smallint NOT NULL DEFAULT 0,
  exceptions int NOT NULL DEFAULT 0,                    -- bit i = i-th AttendanceException
  leave_type_id int, settles_at timestamptz, overridden boolean NOT NULL DEFAULT false, locked boolean NOT NULL DEFAULT false,
  version int NOT NULL DEFAULT 1,
  PRIMARY KEY(employee_id, work_date),
  CHECK (present_halves + leave_halves + absent_halves + off_halves = CASE status WHEN 'PENDING' THEN 0 ELSE 2 END),
  CHECK (last_out >= first_in), CHECK (overtime_approved_minutes BETWEEN 0 AND overtime_minutes),
  CHECK ((status = 'PENDING') = (settles_at IS NOT NULL))) PARTITION BY RANGE(work_date);
CREATE INDEX attendance_by_date ON attendance_day(work_date, employee_id);
CREATE INDEX attendance_by_department ON attendance_day(department_id, work_date, employee_id);
CREATE INDEX attendance_exceptions ON attendance_day(work_date, employee_id) WHERE exceptions <> 0;
CREATE INDEX attendance_pending ON attendance_day(settles_at) WHERE settles_at IS NOT NULL;

CREATE TABLE attendance_stat(                           -- roll-up of a slice, recomputed whole in the transaction that changes one of its days
  work_date date NOT NULL, department_id int NOT NULL, location_id int NOT NULL, shift_id int NOT NULL DEFAULT 0,   -- shift 0 = none
  days int NOT NULL, pending_count int NOT NULL, present_halves int NOT NULL, punctual_halves int NOT NULL, leave_halves int NOT NULL,
  absent_halves int NOT NULL, off_halves int NOT NULL, late_count int NOT NULL, early_exit_count int NOT NULL, incomplete_count int NOT NULL,
  remote_count int NOT NULL, expected_minutes bigint NOT NULL, worked_minutes bigint NOT NULL, late_minutes bigint NOT NULL,
  overtime_minutes bigint NOT NULL, overtime_approved_minutes bigint NOT NULL, first_in_count int NOT NULL, first_in_minutes bigint NOT NULL,
  PRIMARY KEY(work_date, department_id, location_id, shift_id));

CREATE TABLE pay_period(
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, location_id int NOT NULL REFERENCES location, start_date date NOT NULL, end_date date NOT NULL,
  state period_state NOT NULL DEFAULT 'OPEN', CHECK (end_date >= start_date),
  CONSTRAINT pay_period_overlap EXCLUDE USING gist (location_id WITH =, daterange(start_date, end_date, '[]') WITH &&));
CREATE TABLE idempotency_key(                           -- a retry is answered with the outcome of the first, in whose transaction it stands
  user_id bigint NOT NULL REFERENCES app_user ON DELETE CASCADE, key text NOT NULL, mutation text NOT NULL, request_hash bytea NOT NULL,
  outcome bytea NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY(user_id, key));
CREATE INDEX ON idempotency_key(created_at);

-- ---------- partitions: one a month, made ahead; DEFAULT catches strays ----------
CREATE TABLE punch_default PARTITION OF punch DEFAULT;
CREATE TABLE attendance_day_default PARTITION OF attendance_day DEFAULT;
CREATE FUNCTION make_partitions(first_month date, last_month date) RETURNS int LANGUAGE plpgsql AS $$
DECLARE m date; made int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7393);
  FOR m IN SELECT generate_series(date_trunc('month', first_month), last_month, interval '1 month')::date LOOP
    IF to_regclass('attendance_day_' || to_char(m, 'YYYYMM')) IS NULL THEN
      EXECUTE format('CREATE TABLE attendance_day_%s PARTITION OF attendance_day FOR VALUES FROM (%L) TO (%L)', to_char(m, 'YYYYMM'), m, (m + interval '1 month')::date);
      EXECUTE format('CREATE TABLE punch_%s PARTITION OF punch FOR VALUES FROM (%L) TO (%L)', to_char(m, 'YYYYMM'), m::timestamp AT TIME ZONE 'UTC', (m + interval '1 month')::timestamp AT TIME ZONE 'UTC');
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END $$;
SELECT make_partitions((now() - interval '13 months')::date, (now() + interval '3 months')::date);

-- ---------- cache coherence: what each transaction touched, and who keeps the fence ----------
CREATE TABLE cache_outbox(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), tags text[] NOT NULL);
CREATE INDEX ON cache_outbox(xid);
CREATE TABLE cache_state(
  one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL DEFAULT 0, run_id text NOT NULL DEFAULT '', server text NOT NULL DEFAULT '',
  declaration text NOT NULL DEFAULT '', suspended_from timestamptz NOT NULL DEFAULT '-infinity', suspended_until timestamptz NOT NULL DEFAULT '-infinity');
INSERT INTO cache_state DEFAULT VALUES;

-- Before COMMIT: what did this transaction touch? If our Redis is the one that the fence lives on, the shared lock freezes
-- that until the transaction ends (the drainer takes it exclusively to move the fence). From here to COMMIT the session may
-- idle for 2.5 s at most, less than the life of a hold.
CREATE FUNCTION cache_pending(my_run_id text, OUT xid text, OUT same_redis boolean, OUT tags text[]) LANGUAGE plpgsql AS $$
BEGIN
  xid := pg_current_xact_id_if_assigned()::text;
  SELECT array(SELECT DISTINCT unnest(o.tags) FROM cache_outbox o WHERE o.xid = pg_current_xact_id_if_assigned()) INTO tags;
  SELECT s.run_id = my_run_id INTO same_redis FROM cache_state s;
  IF same_redis AND cardinality(tags) > 0 THEN
    PERFORM pg_advisory_xact_lock_shared(7391);
    SELECT s.run_id = my_run_id INTO same_redis FROM cache_state s;
  END IF;
  PERFORM set_config('idle_in_transaction_session_timeout', '2500', true);
END $$;
-- No renewal of the fence for `lease` from now on; returns the seconds until the last fence has surely lapsed.
-- FOR UPDATE first: an UPDATE that waits for a row lock would keep the clock_timestamp() from before its wait.
CREATE FUNCTION cache_suspend(fence_s double precision, lease interval) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE s cache_state; now_ timestamptz;
BEGIN
  SELECT * INTO s FROM cache_state FOR UPDATE;
  now_ := clock_timestamp();
  IF s.suspended_until <= now_ THEN s.suspended_from := now_; END IF;
  UPDATE cache_state SET suspended_from = s.suspended_from, suspended_until = greatest(s.suspended_until, now_ + lease);
  RETURN greatest(0, fence_s - extract(epoch FROM now_ - s.suspended_from));
END $$;
