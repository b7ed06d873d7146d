"""The Ed25519 private key that signs our tokens: given as PEM or JWK, or generated and kept beside the demo company."""

import json
import os
from pathlib import Path
from typing import cast

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from web.environment import SettingsError

HOW_TO_MAKE = "make one with `openssl genpkey -algorithm ed25519 -out auth-key.pem` and set AUTH_PRIVATE_KEY_FILE to it"


def load_signing_key(text: str | None, file: Path | None, *, kept_at: Path | None = None) -> OKPKey:
    """The key of AUTH_PRIVATE_KEY or AUTH_PRIVATE_KEY_FILE; with neither, the one at `kept_at` (demo mode only)."""
    if text and file:
        raise SettingsError("AUTH_PRIVATE_KEY and AUTH_PRIVATE_KEY_FILE: needed one of them, got both")
    if text:
        return _parsed(text, "AUTH_PRIVATE_KEY")
    if file:
        return _parsed(_content(file, "AUTH_PRIVATE_KEY_FILE"), "AUTH_PRIVATE_KEY_FILE")
    if kept_at:
        return kept_key(kept_at)
    needed = "needed an Ed25519 private key (PEM or JWK), got none"
    raise SettingsError(f"AUTH_PRIVATE_KEY or AUTH_PRIVATE_KEY_FILE: {needed}; {HOW_TO_MAKE}")


def kept_key(path: Path) -> OKPKey:
    """The key in the file, which is made on first use; of processes that start at once the first one's key stays."""
    if not path.exists():
        _write_once(path, json.dumps(OKPKey.generate_key("Ed25519", auto_kid=True).as_dict(private=True)))
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise SettingsError(f"{path}: needed mode 600, got {mode:o}: others could sign in as anybody; chmod 600 it")
    return _parsed(_content(path, str(path)), str(path))


def _write_once(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
        os.link(draft, path)  # unlike a rename it fails when the file is there
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _content(path: Path, name: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SettingsError(f"{name}: needed a readable file, got {path}: {reason}") from error


def _parsed(text: str, name: str) -> OKPKey:
    text = text.strip().replace("\\n", "\n")  # the newlines of a PEM in a .env file or a unit file come escaped
    try:
        key = OKPKey.import_key(cast("dict[str, str | list[str]]", json.loads(text)) if text[:1] == "{" else text)
    except (JoseError, ValueError, TypeError, KeyError, UnsupportedAlgorithm) as error:
        needed = "needed an unencrypted Ed25519 private key (PEM or JWK), got something else"
        raise SettingsError(f"{name}: {needed}; {HOW_TO_MAKE}") from error
    if not key.is_private or key.curve_name != "Ed25519":
        got = f"{'a private' if key.is_private else 'a public'} {key.curve_name} key"
        raise SettingsError(f"{name}: needed an Ed25519 private key, got {got}; {HOW_TO_MAKE}")
    key.ensure_kid()
    return key
