"""The supervisor's side of a process: it learns the exit code that there was, also when it kills too late."""

import asyncio
import os
import sys
from collections.abc import Iterator

import pytest

from cluster.process import Child, Role


@pytest.fixture
def reaped_by_the_loop() -> Iterator[None]:
    """Child processes are waited for by the event loop alone (as of Python 3.12), not by a thread beside it."""
    if sys.version_info >= (3, 12):
        yield
        return
    before = asyncio.get_child_watcher()
    asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    yield
    asyncio.set_child_watcher(before)


@pytest.mark.usefixtures("reaped_by_the_loop")
async def test_killing_a_process_that_has_ended_leaves_its_exit_code(caplog: pytest.LogCaptureFixture) -> None:
    child = Child(Role("ended", "tests.cluster.preloaded"), 1)
    await child.start()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and the loop has not heard of it
    assert child.lives
    child.kill()
    assert await child.wait() == 0
    assert caplog.messages == []
