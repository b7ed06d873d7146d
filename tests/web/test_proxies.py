"""Forwarded headers: believed from TRUSTED_PROXIES, ignored and suspected from anybody else."""

from ipaddress import ip_network

import pytest
from starlette.types import Receive, Scope, Send

from web.environment import SettingsError
from web.proxies import TrustedProxies, from_this_machine
from web.settings import Settings

PROXY, OTHER_PROXY, CLIENT, STRANGER = "10.0.0.1", "10.0.0.2", "203.0.113.5", "198.51.100.9"


async def seen(peer: str, *headers: tuple[str, str], server: str = "10.0.0.9", networks: str = "10.0.0.0/8") -> Scope:
    """The scope that the application gets."""
    scopes: list[Scope] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    async def nothing(*_: object) -> dict[str, object]:
        raise AssertionError

    scope = {
        "type": "http",
        "scheme": "http",
        "client": (peer, 4711),
        "server": (server, 3002),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    await TrustedProxies(application, [ip_network(networks)])(scope, nothing, nothing)  # type: ignore[arg-type]
    return scopes[0]


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([], PROXY),
        ([("X-Forwarded-For", CLIENT)], CLIENT),
        ([("X-Forwarded-For", f"{CLIENT}:51234")], CLIENT),
        ([("X-Forwarded-For", f"{CLIENT}, {OTHER_PROXY}")], CLIENT),
        ([("X-Forwarded-For", CLIENT), ("X-Forwarded-For", OTHER_PROXY)], CLIENT),
        ([("X-Forwarded-For", f"{STRANGER}, {CLIENT}")], CLIENT),  # the first is what the client made up
        ([("X-Forwarded-For", f"127.0.0.1, {CLIENT}, {OTHER_PROXY}")], CLIENT),
        ([("X-Forwarded-For", OTHER_PROXY)], OTHER_PROXY),
        ([("X-Forwarded-For", f"nonsense, {OTHER_PROXY}")], OTHER_PROXY),
        ([("X-Forwarded-For", f"{CLIENT}, nonsense")], PROXY),
        ([("X-Forwarded-For", "unknown")], PROXY),
        ([("X-Forwarded-For", "::ffff:203.0.113.5")], CLIENT),
        ([("Forwarded", f"for={CLIENT};proto=https;by={PROXY}")], CLIENT),
        ([("Forwarded", 'For="[2001:db8::17]:4711"')], "2001:db8::17"),
        ([("Forwarded", f"for={STRANGER}, for={CLIENT}"), ("Forwarded", f"for={OTHER_PROXY}")], CLIENT),
        ([("Forwarded", f'for="{STRANGER}'), ("Forwarded", f"for={CLIENT}")], CLIENT),  # a quote left open
        ([("Forwarded", f'by="x, for={STRANGER}", for={CLIENT}')], CLIENT),
        ([("Forwarded", "for=_hidden")], PROXY),
        ([("Forwarded", f"for={CLIENT}"), ("X-Forwarded-For", CLIENT)], CLIENT),
        ([("Forwarded", f"for={STRANGER}"), ("X-Forwarded-For", CLIENT)], PROXY),  # the proxy sets only one of them
    ],
)
async def test_the_client_is_the_last_one_that_is_no_trusted_proxy(headers: list[tuple[str, str]], client: str) -> None:
    assert (await seen(PROXY, *headers))["client"][0] == client


async def test_a_stranger_is_not_believed() -> None:
    scope = await seen(
        STRANGER,
        ("X-Forwarded-For", CLIENT),
        ("Forwarded", f"for={CLIENT};proto=https"),
        ("X-Forwarded-Proto", "https"),
    )
    assert (scope["client"], scope["scheme"]) == ((STRANGER, 4711), "http")


@pytest.mark.parametrize(
    ("headers", "scheme"),
    [
        ([("X-Forwarded-For", CLIENT)], "http"),
        ([("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "https")], "https"),
        ([("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "http, https")], "https"),
        ([("X-Forwarded-For", CLIENT), ("X-Forwarded-Proto", "gopher")], "http"),
        ([("Forwarded", f"for={CLIENT};proto=https")], "https"),
    ],
)
async def test_scheme(headers: list[tuple[str, str]], scheme: str) -> None:
    assert (await seen(PROXY, *headers))["scheme"] == scheme


@pytest.mark.parametrize(
    ("peer", "server", "headers", "is_local"),
    [
        ("127.0.0.1", "127.0.0.1", [], True),
        ("::1", "::1", [], True),
        ("127.0.0.1", "::ffff:127.0.0.1", [], True),
        (CLIENT, "127.0.0.1", [], False),
        ("127.0.0.1", "192.0.2.1", [], False),  # to the public address of this machine
        ("127.0.0.1", "127.0.0.1", [("Via", "1.1 proxy")], False),
        ("127.0.0.1", "127.0.0.1", [("X-Forwarded-For", "127.0.0.1")], False),
        ("127.0.0.1", "127.0.0.1", [("Forwarded", "for=127.0.0.1")], False),
        ("127.0.0.1", "127.0.0.1", [("X-Real-IP", "127.0.0.1")], False),
        ("", "", [], False),  # a Unix socket: somebody stands before it
    ],
)
async def test_who_is_on_this_machine(peer: str, server: str, headers: list[tuple[str, str]], is_local: bool) -> None:
    assert from_this_machine(await seen(peer, *headers, server=server)) is is_local


@pytest.mark.parametrize(
    ("headers", "is_local"),
    [
        ([("X-Forwarded-For", "127.0.0.1")], True),
        ([("X-Forwarded-For", CLIENT)], False),
        ([("X-Forwarded-For", "127.0.0.1"), ("Forwarded", f"for={CLIENT}")], False),
        ([("Via", "1.1 proxy")], False),
    ],
)
async def test_who_is_on_this_machine_behind_a_trusted_proxy_on_it(
    headers: list[tuple[str, str]], is_local: bool
) -> None:
    scope = await seen("127.0.0.1", *headers, server="127.0.0.1", networks="127.0.0.0/8")
    assert from_this_machine(scope) is is_local


@pytest.mark.parametrize("wrong", ["proxy.example.org", "10.0.0.0/33", "10.0.0.1/8", "1.2.3.4.5"])
def test_wrong_networks(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("TRUSTED_PROXIES", f"127.0.0.1,{wrong}")
    needed = "needed comma-separated addresses or networks like 10.0.0.7,192.168.0.0/16,fd00::/8"
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment()
    assert refused.value.message == f"TRUSTED_PROXIES: {needed}, got '127.0.0.1,{wrong}'"
