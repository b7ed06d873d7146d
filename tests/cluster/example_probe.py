"""A probe for the example's status port: both servers are up, unless the environment says otherwise."""

import os
from typing import Any


class Probe:
    """Looks at nothing."""

    def __init__(self, settings: object) -> None:
        self._dies_with = os.environ.get("EXAMPLE_PROBE_FAILS")

    async def look(self) -> dict[str, Any]:
        if self._dies_with:
            raise RuntimeError(self._dies_with)
        return {"database": {"up": True, "outbox_rows": 3}, "redis": {"up": False, "error": "Redis does not answer"}}

    async def close(self) -> None:
        pass
