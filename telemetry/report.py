"""Everything that this process has counted and timed, as numbers that can be added over processes."""

from collections import defaultdict

from telemetry.counters import counters
from telemetry.executions import executions
from telemetry.garbage import collections
from telemetry.gauges import gauges
from telemetry.requests import operations, senders, slow, statements
from telemetry.waits import waits


def sums() -> dict[str, object]:
    """What only grows: counters by name and label, all else by name."""
    by_name: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (name, label), amount in counters.copy().items():
        by_name[name][label] = amount
    return {
        "counters": by_name,
        "operations": operations.sums(),
        "statements": statements.sums(),
        "senders": senders.sums(),
        "executions": {name: of.sums() for name, of in executions.items()},
        "collections": collections.sums(),
        "waits": waits.sums(),
    }


def moment() -> dict[str, object]:
    """What goes up and down, and the latest slow statements."""
    return {
        "gauges": {name: measure() for name, measure in gauges.items()},
        "slow": [statement._asdict() for statement in slow.latest],
    }
