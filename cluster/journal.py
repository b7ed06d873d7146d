"""The log of the supervisor and of processes that have no application logging yet: lines on standard error."""

import atexit
import logging
import os
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
    atexit.register(_let_go_of_closed_terminals)


def _let_go_of_closed_terminals() -> None:
    """Python ends with code 120 when its last flush fails, which it does on a terminal that was closed."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
