"""The token for changes through the status port: STATUS_TOKEN, or one made in DATA_DIR for those who may read it."""

import os
import secrets
from pathlib import Path
from typing import Final

from web.settings import Settings

FILE: Final = "status.token"


def token_path(settings: Settings) -> Path:
    """Where the token is kept when STATUS_TOKEN is not set."""
    return settings.server.data_dir / FILE


def kept_token(settings: Settings) -> str | None:
    """The token that is set or was made; None when there is none, or this user may not read it."""
    if settings.server.status_token is not None:
        return settings.server.status_token.get_secret_value()
    try:
        return token_path(settings).read_text().strip() or None
    except OSError:
        return None


def ensured_token(settings: Settings) -> str | None:
    """The token, made now if there is none; None where that is impossible: then nobody may change anything."""
    path = token_path(settings)
    if settings.server.status_token is None and not path.exists():
        try:
            path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
            draft.rename(path)
        except OSError:
            return None
    return kept_token(settings)
