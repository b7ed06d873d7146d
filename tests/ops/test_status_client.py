"""Orders reach the service also while the process of its status port is being replaced."""

import httpx2
import pytest

from ops import status_client
from ops.status_client import TRIES, insisting


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_client, "PAUSE_S", 0)


def asked(*answers: httpx2.Response | Exception) -> tuple[httpx2.Response, int]:
    """What comes of asking, and how often it took, where these are the answers."""
    left = list(answers)

    def answer(_: httpx2.Request) -> httpx2.Response:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        return insisting(lambda: client.post("http://status/cluster/scale")), len(answers) - len(left)


def test_it_is_asked_again_where_the_answer_was_cut_off() -> None:
    cut_off = httpx2.RemoteProtocolError("disconnected"), httpx2.ReadError("reset")
    found, times = asked(*cut_off, httpx2.Response(200))
    assert (found.status_code, times) == (200, 3)


def test_a_service_that_is_down_has_answered() -> None:
    found, times = asked(httpx2.Response(503), httpx2.Response(200))
    assert (found.status_code, times) == (503, 1)


def test_it_is_not_asked_for_ever() -> None:
    left = [httpx2.ReadError("reset") for _ in range(TRIES + 1)]
    with pytest.raises(httpx2.ReadError):
        asked(*left)
