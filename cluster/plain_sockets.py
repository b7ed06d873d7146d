"""WebSockets whose messages are not compressed.

hypercorn would agree to it with whoever asks, and what a client has compressed becomes a thousand times as large before
anybody looks at its size: 64 kB from somebody who has not signed in take 64 MB for as long as the connection lasts.
"""

from dataclasses import replace
from typing import Any, Final

from hypercorn.protocol.events import Request
from hypercorn.protocol.ws_stream import WSStream

EXTENSIONS: Final = b"sec-websocket-extensions"


class PlainWebSocket(WSStream):
    """hypercorn's WebSocket without extensions."""

    async def handle(self, event: Any) -> None:
        """As of hypercorn: what the client sends, and the end of the connection."""
        if isinstance(event, Request):
            headers = [(name, value) for name, value in event.headers if name.lower() != EXTENSIONS]
            event = replace(event, headers=headers)
        await super().handle(event)
