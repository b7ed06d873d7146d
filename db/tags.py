"""Which changes of which table touch which tags: one declaration, from which triggers and cache keys both follow.

A tag names what cached entries depend on, e.g. `attendance_day.employee_id=42&month=2026-03`. `Tag` gives the SQL that
a trigger computes it by, and, called with values, the tag itself; so the two cannot drift apart. Besides its own tags
every entry depends on the bare table name, which stands for all tags of the table: a statement that touches more than
MOST_TAGS of them, and TRUNCATE, touch that one.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Final

MOST_TAGS: Final = 500


class Tag:
    """A template of tags over one table: columns by name, and named SQL expressions over the row `r`.

    `of` is the table that the tags are named after, another one than `table` when that is only summed up from it.
    """

    def __init__(self, table: str, *columns: str, of: str | None = None, **expressions: str) -> None:
        self.table = table
        self.subject = of or table
        self.parts: Mapping[str, str] = {column: f"r.{column}::text" for column in columns} | expressions

    def __call__(self, *values: object) -> str:
        """The tag for values in the order of the parts; without parts the tag of any change of the table."""
        if not self.parts:
            return f"{self.subject}.any"
        return f"{self.subject}." + "&".join(f"{name}={value}" for name, value in zip(self.parts, values, strict=True))

    @property
    def sql(self) -> str:
        """The expression by which a trigger computes the tag of a row."""
        if not self.parts:
            return f"'{self.subject}.any'"
        pieces = [
            f"'{'&' if i else self.subject + '.'}{name}=' || {sql}" for i, (name, sql) in enumerate(self.parts.items())
        ]
        return " || ".join(pieces)


LOCATION_ANY = Tag("location")
PAST_ZONE_ANY = Tag("location_past_zone", of="location")
WORK_WEEK_ANY = Tag("work_week_off")
HOLIDAY_YEAR = Tag("holiday", "location_id", year="extract(year FROM r.date)::int")
HOLIDAY_ANY = Tag("holiday")
DEPARTMENT_ANY = Tag("department")
SHIFT_ANY = Tag("shift")
SHIFT_RULE_ANY = Tag("shift_rule")
EMPLOYEE = Tag("employee", "id")
EMPLOYEE_ANY = Tag("employee")
ASSIGNMENT_EMPLOYEE = Tag("shift_assignment", "employee_id")
ASSIGNMENT_ANY = Tag("shift_assignment")
ROSTER_EMPLOYEE = Tag("roster_day", "employee_id")
POSTING_EMPLOYEE = Tag("employee_posting", "employee_id")
LEAVE_EMPLOYEE = Tag("leave_request", "employee_id")
LEAVE_ANY = Tag("leave_request")
LEAVE_TYPE_ANY = Tag("leave_type")
USER = Tag("app_user", "id")
USER_ANY = Tag("app_user")
GRANT_USER = Tag("role_grant", "user_id")
GRANT_ANY = Tag("role_grant")
DEVICE_ANY = Tag("device")
PAY_PERIOD_ANY = Tag("pay_period")
PUNCH = Tag("punch", "id")
PUNCH_MONTH = Tag("punch", "employee_id", month="to_char(r.punched_at AT TIME ZONE 'UTC', 'YYYY-MM')")
DAY_EMPLOYEE_MONTH = Tag("attendance_day", "employee_id", month="to_char(r.work_date, 'YYYY-MM')")
DAY_DEPARTMENT_DATE = Tag("attendance_day", "department_id", "work_date")
DAY_DATE = Tag("attendance_day", "work_date")
DAY_MONTH = Tag("attendance_day", month="to_char(r.work_date, 'YYYY-MM')")
ROLL_UP_DEPARTMENT_DATE = Tag("attendance_stat", "department_id", "work_date", of="attendance_day")
ROLL_UP_DATE = Tag("attendance_stat", "work_date", of="attendance_day")
ROLL_UP_MONTH = Tag("attendance_stat", of="attendance_day", month="to_char(r.work_date, 'YYYY-MM')")
OVERRIDE_EMPLOYEE = Tag("attendance_override", "employee_id")

ALL_TAGS: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Tag))


def tags_by_table() -> dict[str, list[Tag]]:
    """Every declared tag under its table."""
    found: dict[str, list[Tag]] = {}
    for tag in ALL_TAGS:
        found.setdefault(tag.table, []).append(tag)
    return found


def collapse(tags: list[str]) -> list[str]:
    """At most MOST_TAGS tags that touch the same entries: past that, the tables stand for their tags."""
    return tags if len(tags) <= MOST_TAGS else sorted({tag.partition(".")[0] for tag in tags})


def trigger_script() -> str:
    """The statement triggers of every table with tags; running it again replaces them."""
    return "\n".join(_triggers(table, tags) for table, tags in tags_by_table().items())


@cache
def declaration_hash() -> str:
    """What the triggers in a database were made from; kept in cache_state and part of the fence."""
    return hashlib.blake2b(trigger_script().encode(), digest_size=8).hexdigest()


def _triggers(table: str, tags: list[Tag]) -> str:
    """A function and the triggers of the table and its partitions.

    The function is nobody's but its owner's: whoever writes needs no right to the outbox, and a session's own search
    path and way of writing dates change no tag.
    """
    array, [subject] = ", ".join(tag.sql for tag in tags), {tag.subject for tag in tags}
    gather = f"SELECT array_agg(DISTINCT x) INTO t FROM %s r, LATERAL unnest(ARRAY[{array}]) x WHERE x IS NOT NULL"
    changed = "(SELECT * FROM old_rows UNION ALL SELECT * FROM new_rows)"
    return f"""
CREATE OR REPLACE FUNCTION cache_touch_{table}() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT SET datestyle = 'ISO' AS $$
DECLARE t text[];
BEGIN
  IF tg_op = 'TRUNCATE' THEN t := ARRAY['{subject}'];
  ELSIF tg_op = 'INSERT' THEN {gather % "new_rows"};
  ELSIF tg_op = 'DELETE' THEN {gather % "old_rows"};
  ELSE {gather % changed}; END IF;
  IF cardinality(t) > {MOST_TAGS} THEN t := ARRAY['{subject}']; END IF;
  IF t IS NOT NULL THEN INSERT INTO cache_outbox(tags) VALUES (t); END IF;
  RETURN NULL;
END $$;
SELECT cache_watch(relation, 'cache_touch_{table}')
FROM (SELECT '{table}'::regclass UNION SELECT relid FROM pg_partition_tree('{table}')) AS watched (relation);"""
