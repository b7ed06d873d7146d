"""The log of the supervisor and of processes that have no application logging yet: lines on standard error."""

import logging
import sys

journal = logging.getLogger("rollcall.cluster")


def open_journal() -> None:
    """Write the journal to standard error, unless logging is configured already."""
    if journal.handlers or logging.getLogger().handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    journal.addHandler(handler)
    journal.setLevel(logging.INFO)
    journal.propagate = False
