"""The one listening socket of the service: bound by the supervisor, inherited by the workers."""

import errno
import os
import socket

from web.environment import SettingsError

QUEUE_LENGTH = 2048
_FIRST_SYSTEMD_FD = 3


def bind(host: str, port: int) -> socket.socket:
    """The socket of the service, from systemd if it opened one; see `bound`."""
    inherited = _from_systemd()
    return bound(host, port) if inherited is None else inherited


def bound(host: str, port: int, prefix: str = "") -> socket.socket:
    """A bound socket that does not listen yet; raises SettingsError when the address cannot be had.

    It names the variables <prefix>HOST and <prefix>PORT. SO_REUSEPORT stays unset, or a second service started by
    mistake would share the port in silence.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise SettingsError(f"{prefix}HOST: needed a name or address of this machine, got {host!r}") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise SettingsError(prefix + _refusal(host, port, error, prefix)) from error
    listener.setblocking(False)
    return listener


def listen(listener: socket.socket, prefix: str = "") -> None:
    """Let clients in: from now on connections wait for a worker instead of being refused; see `bound` for `prefix`."""
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(QUEUE_LENGTH)
    except OSError as error:
        raise SettingsError(prefix + _refusal(host, port, error, prefix)) from error


def _refusal(host: str, port: int, error: OSError, prefix: str = "") -> str:
    if error.errno == errno.EADDRINUSE:
        return f"PORT: {host}:{port} is taken by another program; stop it or set {prefix}PORT to a free port"
    if error.errno == errno.EACCES:
        return f"PORT: this user may not listen on {port}; set {prefix}PORT to 1024 or above"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"HOST: needed an address of this machine, got {host!r}"
    return f"HOST: cannot listen on {host}:{port}: {error.strerror}"


def _from_systemd() -> socket.socket | None:
    """The socket that systemd opened for us (socket activation), None without one."""
    count = os.environ.get("LISTEN_FDS", "0")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or count == "0":
        return None
    if count != "1":
        raise SettingsError(f"LISTEN_FDS: needed one socket, the service's port, got {count}: leave one ListenStream=")
    try:
        listener = socket.socket(fileno=_FIRST_SYSTEMD_FD)
    except OSError as error:
        raise SettingsError(
            f"LISTEN_FDS: needed a socket as descriptor {_FIRST_SYSTEMD_FD}: {error.strerror}"
        ) from error
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or listener.type != socket.SOCK_STREAM:
        found = f"{listener.family.name} {listener.type.name}"
        raise SettingsError(f"LISTEN_FDS: needed a TCP socket, got {found}: correct ListenStream=")
    listener.setblocking(False)
    return listener
