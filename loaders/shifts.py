"""Lookups of shifts and their rules."""

from cache.policy import Policy
from db import shifts, tags
from db.rows import ShiftRow, ShiftRuleRow
from loaders.batch import Batch
from loaders.organisation import ORGANISATION

shift_by_id = Batch(
    shifts.shifts_by_id,
    Policy("shift", ShiftRow, "organisation", lambda _: (tags.SHIFT_ANY(),)),
    joined=ORGANISATION,
)
all_shifts = Batch(
    shifts.all_shifts,
    Policy("shifts", tuple[ShiftRow, ...], "organisation", lambda _: (tags.SHIFT_ANY(),)),
    absent=(),
)
rules_by_shift = Batch(
    shifts.rules_by_shift,
    Policy("shift_rules", tuple[ShiftRuleRow, ...], "organisation", lambda _: (tags.SHIFT_RULE_ANY(),)),
    absent=(),
)
