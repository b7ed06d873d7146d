"""Tells a closed terminal from an operator's SIGHUP: the one ends the service, the other reloads it."""

import os
import signal


class Terminal:
    """The terminal from which the service was started, if it is to end with it; made before SIGHUP is handled."""

    def __init__(self) -> None:
        under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self._was_there = not under_nohup and _is_there()

    def was_closed(self) -> bool:
        """Whether there was a terminal and is no more."""
        return self._was_there and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
