"""What the values of the enumerations mean; the enumerations themselves are domain's and the resolvers'."""

from enum import Enum
from typing import Any

import strawberry

from domain import enums
from domain.errors import ErrorCode
from domain.periods import RelativePeriod
from resolvers.inputs import AttendanceOrderField, Direction, EmployeeOrderField
from resolvers.stats import Dimension, Metric


def _describe(enumeration: type[Enum], about: str, *meanings: str) -> None:
    """Give an enumeration to the API; `meanings` stand in the order of its values."""
    if not hasattr(enumeration, "__strawberry_definition__"):
        strawberry.enum(enumeration)
    definition: Any = vars(enumeration)["__strawberry_definition__"]
    definition.description = about
    for value, meaning in zip(definition.values, meanings, strict=True):
        value.description = meaning


_describe(
    enums.DayStatus,
    "What a day came to. Late, early and overtime are numbers beside it, never statuses.",
    "Its window is still open: it can still change.",
    "Worked as expected.",
    "One half worked, or worked beside half a day of leave.",
    "Not worked, or too little.",
    "On approved leave.",
    "Off by the work week.",
    "Off by the location's calendar.",
    "A punch is missing: somebody has to decide.",
)
_describe(
    enums.DayType,
    "What kind of day the calendar makes of a date.",
    "A working day.",
    "Off by the work week.",
    "A holiday of the location.",
)
_describe(
    enums.WorkMode,
    "Where work was done.",
    "At the place of work.",
    "Elsewhere: every punch came from web or mobile.",
    "On duty elsewhere, as somebody decided.",
)
_describe(
    enums.PunchDirection,
    "Which way a punch goes.",
    "Coming.",
    "Leaving.",
    "Going on a break.",
    "Back from a break.",
    "The device does not say; the rules work it out.",
)
_describe(
    enums.PunchSource,
    "Where a punch comes from.",
    "A punch clock.",
    "A shared kiosk.",
    "A browser.",
    "A telephone.",
    "Another program.",
    "A file.",
    "An approved correction.",
    "The rules, closing a day that was left open.",
)
_describe(
    enums.AttendanceException,
    "What was unusual about a day.",
    "Came after the grace.",
    "Left before the grace.",
    "The first IN is missing.",
    "The last OUT is missing.",
    "A punch was repeated within seconds and dropped.",
    "Worked on a day off.",
    "Worked while on leave.",
    "The break was shorter than the rule demands.",
    "The rules closed the day at its expected end.",
    "Absent, and nobody said why.",
    "Worked more than twelve hours.",
    "Punched outside the fence of the location.",
)
_describe(
    enums.HalfOfDay,
    "Half a day.",
    "From the start of the shift to its split.",
    "From the split of the shift to its end.",
)
_describe(
    enums.BreakPolicy,
    "How breaks are taken off.",
    "Never.",
    "The rule's break, once enough was worked.",
    "What was punched as a break.",
    "The longer of both.",
)
_describe(
    enums.Pairing,
    "How punches become sessions.",
    "One session from the first to the last.",
    "First to second, third to fourth, and so on.",
    "By their directions.",
)
_describe(
    enums.MissingPunchPolicy,
    "What a missing punch makes of the day.",
    "INCOMPLETE, until somebody decides.",
    "HALF_DAY.",
    "ABSENT.",
    "Closed at the expected end.",
)
_describe(
    enums.Role,
    "What a user may do.",
    "See and punch for oneself.",
    "See and manage reports and the departments that one manages, with all below them.",
    "See and manage people, within the grant's department and location.",
    "See people for payroll, within the grant's department and location.",
    "See figures and pseudonymous rows, never of fewer than five people.",
    "See everything, change nothing.",
    "Manage users and settings.",
    "Hand in punches of a location's devices.",
)
_describe(
    enums.EmploymentType,
    "How an employee is employed.",
    "Full time.",
    "Part time.",
    "By contract.",
    "As an intern.",
    "As needed.",
)
_describe(
    enums.OvertimeKind,
    "What kind of day overtime was worked on.",
    "On a working day.",
    "On a day off by the work week.",
    "On a holiday.",
)
_describe(
    enums.EmployeeStatus,
    "Whether an employee works here.",
    "Works here.",
    "For the time being not at work.",
    "Has left.",
)
_describe(
    enums.PresenceState,
    "Where an employee is, as far as punches and plans say.",
    "At work.",
    "Has left, or has not come yet.",
    "On a break.",
    "Nothing is planned now.",
    "On leave.",
    "Should have come by now.",
)
_describe(
    RelativePeriod,
    "A range of dates as seen from today in the viewer's time zone; weeks begin on Monday.",
    "Today.",
    "Yesterday.",
    "The week of today, all seven days.",
    "The week before.",
    "The month of today, all of it.",
    "The month before.",
    "The quarter of today, all of it.",
    "The year of today, all of it.",
    "The seven days that end today.",
    "The 30 days that end today.",
    "The 90 days that end today.",
    "The 365 days that end today.",
)
_describe(Direction, "Which way an order goes.", "Rising.", "Falling.")
_describe(
    AttendanceOrderField,
    "What days can be ordered by.",
    "The work date.",
    "The employee's number.",
    "The employee's name.",
    "Minutes late.",
    "Minutes worked.",
    "Minutes of overtime.",
    "When the employee came; who did not come is last.",
)
_describe(
    EmployeeOrderField,
    "What employees can be ordered by.",
    "The full name.",
    "The employee number.",
    "The date of hiring.",
    "The name of the department.",
)
_describe(
    Dimension,
    "What statistics can be grouped by; a group's days have it in common.",
    "The work date.",
    "The ISO week, e.g. 2026-W12.",
    "The month, e.g. 2026-03.",
    "The day of the week, 1 for Monday.",
    "The hour of the first IN by the wall clock.",
    "The department on that day.",
    "The location on that day.",
    "The shift of that day.",
    "The manager on that day.",
    "The employee.",
    "How the employee is employed.",
    "The status of the day.",
    "Where work was done.",
    "Each exception; a day with two counts in both groups.",
    "The kind of leave.",
)
_describe(
    Metric,
    "What groups can be ordered by and compared with bounds.",
    "Distinct employees.",
    "Days with work, leave or absence on the plan.",
    "Days present.",
    "Days absent.",
    "Days on leave.",
    "Days late.",
    "Hours late.",
    "Days left early.",
    "Days with a missing punch.",
    "Hours worked.",
    "Hours expected.",
    "Hours of overtime.",
    "Present / scheduled.",
    "Absent / scheduled.",
    "Present days not late / present days.",
    "Worked / expected.",
)
_describe(
    ErrorCode,
    "What is wrong with an input.",
    "A value cannot be accepted.",
    "There is no such thing, or it is out of reach.",
    "No grant covers it.",
    "Somebody changed it meanwhile, or it is still in use.",
    "Its pay period is locked.",
    "It overlaps with another.",
    "The employee is in already.",
    "The employee is not in.",
    "The leave balance does not cover it.",
    "The place is outside the fence of the location.",
    "It lies in the future.",
    "The idempotency key was used for another request.",
    "Too many at once.",
    "The request was decided already.",
)
