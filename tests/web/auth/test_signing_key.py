"""The signing key: given in every usual form, kept for the demo, and one clear line for everything else."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.web.auth.conftest import KEY
from web.environment import SettingsError
from web.signing_key import kept_key, load_signing_key

PEM = KEY.as_pem(private=True).decode()
HOW = "make one with `openssl genpkey -algorithm ed25519 -out auth-key.pem` and set AUTH_PRIVATE_KEY_FILE to it"


def complaint(load: Callable[[], object]) -> str:
    with pytest.raises(SettingsError) as caught:
        load()
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("text", [PEM, PEM.replace("\n", "\\n"), f"\n{PEM}\n", json.dumps(KEY.as_dict(private=True))])
def test_pem_and_jwk_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(text)
    assert load_signing_key(text, None).as_dict(private=True)["d"] == "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
    assert load_signing_key(None, tmp_path / "key").kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_without_a_key_the_line_says_how_to_make_one() -> None:
    assert complaint(lambda: load_signing_key(None, None)) == (
        f"AUTH_PRIVATE_KEY or AUTH_PRIVATE_KEY_FILE: needed an Ed25519 private key (PEM or JWK), got none; {HOW}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        "{}",
        "{",
        '{"kty":"OKP","crv":"Ed25519","x":"?"}',
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        RSAKey.generate_key(2048).as_pem(private=True).decode(),
        json.dumps(ECKey.generate_key("P-256").as_dict(private=True)),
        KEY.as_pem(private=True, password="x").decode(),
    ],
)
def test_another_text_is_refused_and_not_repeated(text: str) -> None:
    assert complaint(lambda: load_signing_key(text, None)) == (
        f"AUTH_PRIVATE_KEY: needed an unencrypted Ed25519 private key (PEM or JWK), got something else; {HOW}"
    )


def test_another_key_is_named() -> None:
    public, x25519 = KEY.as_pem(private=False).decode(), OKPKey.generate_key("X25519").as_pem(private=True).decode()
    assert complaint(lambda: load_signing_key(public, None)) == (
        f"AUTH_PRIVATE_KEY: needed an Ed25519 private key, got a public Ed25519 key; {HOW}"
    )
    assert complaint(lambda: load_signing_key(x25519, None)) == (
        f"AUTH_PRIVATE_KEY: needed an Ed25519 private key, got a private X25519 key; {HOW}"
    )


def test_a_missing_file_and_two_keys_are_refused(tmp_path: Path) -> None:
    missing = tmp_path / "none.pem"
    assert complaint(lambda: load_signing_key(None, missing)) == (
        f"AUTH_PRIVATE_KEY_FILE: needed a readable file, got {missing}: No such file or directory"
    )
    assert complaint(lambda: load_signing_key(PEM, missing)) == (
        "AUTH_PRIVATE_KEY and AUTH_PRIVATE_KEY_FILE: needed one of them, got both"
    )


def test_a_kept_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "auth-key.json"
    key = load_signing_key(None, None, kept_at=path)
    assert load_signing_key(None, None, kept_at=path).as_dict(private=True) == key.as_dict(private=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o640)
    assert complaint(lambda: kept_key(path)) == (
        f"{path}: needed mode 600, got 640: others could sign in as anybody; chmod 600 it"
    )


def test_processes_that_start_at_once_keep_one_key(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from web.signing_key import kept_key; "
    program += "sys.stdin.read(); print(kept_key(Path(sys.argv[1])).kid)"
    command = [sys.executable, "-c", program, str(tmp_path / "auth-key.json")]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in started:
        assert process.stdin
        process.stdin.close()
        process.stdin = None
    printed = {process.communicate()[0] for process in started}
    assert printed == {f"{kept_key(tmp_path / 'auth-key.json').kid}\n"}
