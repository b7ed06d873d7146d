"""Tells systemd, when it asked by NOTIFY_SOCKET, how far the service is."""

import os
import socket


def notify(state: str) -> None:
    """Send a state such as "READY=1"; does nothing outside systemd."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
