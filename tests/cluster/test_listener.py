"""Addresses that cannot be had are refused in one line that names the variable and the fix."""

import socket

import pytest

from cluster.listener import bind, bound, listen
from web.environment import SettingsError


def test_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as refused:
            bind("127.0.0.1", port)
    assert refused.value.message == (
        f"PORT: 127.0.0.1:{port} is taken by another program; stop it or set PORT to a free port"
    )


@pytest.mark.parametrize("prefix", ["", "STATUS_"])
def test_port_taken_between_bind_and_listen(prefix: str) -> None:
    with bound("127.0.0.1", 0, prefix) as ours:
        port = ours.getsockname()[1]
        with bound("127.0.0.1", port, prefix) as theirs:
            listen(theirs, prefix)
            with pytest.raises(SettingsError) as refused:
                listen(ours, prefix)
    taken = f"{prefix}PORT: 127.0.0.1:{port} is taken by another program"
    assert refused.value.message == f"{taken}; stop it or set {prefix}PORT to a free port"


def test_foreign_address() -> None:
    with pytest.raises(SettingsError) as refused:
        bind("192.0.2.1", 0)
    assert refused.value.message == "HOST: needed an address of this machine, got '192.0.2.1'"


def test_unknown_name() -> None:
    with pytest.raises(SettingsError) as refused:
        bind("no.such.host.invalid", 0)
    assert refused.value.message == "HOST: needed a name or address of this machine, got 'no.such.host.invalid'"


def test_nobody_is_let_in_before_it_listens() -> None:
    with bind("127.0.0.1", 0) as listener, socket.socket() as client:
        assert client.connect_ex(listener.getsockname()) != 0
    with bind("127.0.0.1", 0) as listener, socket.socket() as client:
        listen(listener)
        assert client.connect_ex(listener.getsockname()) == 0
