"""Passwords: what fits, what a crowd gets, and that an unknown user costs as much as a known one."""

import asyncio
import threading

import pytest

from domain.errors import Unavailable
from tests.web.auth.conftest import PASSWORD, PASSWORD_HASH
from web import passwords as module
from web.passwords import HASHER, Passwords, hash_password


def test_a_hash_is_argon2id_with_a_salt_of_its_own() -> None:
    first, second = hash_password("x"), hash_password("x")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second


@pytest.mark.parametrize(
    ("password_hash", "text", "good"),
    [
        (PASSWORD_HASH, PASSWORD, True),
        (PASSWORD_HASH, PASSWORD + " ", False),
        (PASSWORD_HASH, "", False),
        (hash_password("grüße \x00 ٣"), "grüße \x00 ٣", True),
        (None, PASSWORD, False),
        ("!", PASSWORD, False),
        ("$argon2id$v=19$m=19456,t=2,p=1$AAAA", PASSWORD, False),
    ],
    ids=["same", "blank more", "none", "not ASCII", "no hash", "no argon2", "half a hash"],  # hashes are salted
)
async def test_only_the_password_fits(passwords: Passwords, password_hash: str | None, text: str, good: bool) -> None:
    assert await passwords.verify(password_hash, text) is good


class HeldHasher:
    """Stands at the door of argon2 until it is opened, and counts who came."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.hashes: list[str] = []

    def verify(self, password_hash: str, text: str) -> bool:
        self.hashes.append(password_hash)
        assert self.opened.wait(30)
        return HASHER.verify(password_hash, text)


async def test_past_the_queue_people_are_asked_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(threads=1, most_waiting=2)
    held = HeldHasher()
    monkeypatch.setattr(module, "HASHER", held)
    accepted = [asyncio.ensure_future(passwords.verify(PASSWORD_HASH, PASSWORD)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await passwords.verify(PASSWORD_HASH, PASSWORD)
    assert caught.value.retry_after_s == 1
    assert caught.value.message == "too many people are signing in at this moment; try again in a second"
    held.opened.set()
    assert await asyncio.gather(*accepted) == [True, True, True]
    assert await passwords.verify(PASSWORD_HASH, PASSWORD) is True
    passwords.close()


async def test_who_gives_up_waiting_gives_the_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(threads=1, most_waiting=1)
    held = HeldHasher()
    monkeypatch.setattr(module, "HASHER", held)
    running, waiting = (asyncio.ensure_future(passwords.verify(PASSWORD_HASH, PASSWORD)) for _ in range(2))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    third = asyncio.ensure_future(passwords.verify(PASSWORD_HASH, PASSWORD))
    held.opened.set()
    assert [await running, await third] == [True, True]
    passwords.close()


async def test_an_unknown_user_costs_one_verification_of_the_same_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(threads=1)
    held = HeldHasher()
    held.opened.set()
    monkeypatch.setattr(module, "HASHER", held)
    assert await passwords.verify(None, PASSWORD) is False
    [seen] = held.hashes
    assert seen.rpartition("$")[0].rpartition("$")[0] == PASSWORD_HASH.rpartition("$")[0].rpartition("$")[0]
    passwords.close()
