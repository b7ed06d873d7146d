"""The Dockerfile with a real engine, Docker or Podman: built, and run as Compose runs it, its root read-only.

Where no registry of images can be reached Debian's own packages make what stands for the base image.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import free_port
from tests.deploy.engines import PostgreSQL
from tests.deploy.test_files import DOCKERFILE
from tests.deploy.tools import ROOT, TOOLS, found, needed
from web.signing_key import kept_key

BASE, OURS = "docker.io/library/python:3.11-slim-bookworm", "rollcall-test-base"
IMAGE, CONTAINER = "rollcall-test", "rollcall-test"
BUILD_LIMIT_S, START_LIMIT_S = 600.0, 60.0
OF_PODMAN = {"BUILDAH_FORMAT": "docker", "BUILDAH_LAYERS": "false"}
"""The format that has health checks, and no image after each step."""
AS_COMPOSE = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


class Engine:
    """Docker or Podman by their common words."""

    def __init__(self, program: str) -> None:
        self._program = program

    def ends_well(self, *words: str | Path) -> bool:
        """Whether a command does."""
        return self._run(words).returncode == 0

    def __call__(self, *words: str | Path) -> str:
        """What a command prints; fails with all of it when it ends with an error."""
        done = self._run(words)
        assert done.returncode == 0, (
            f"{self._program} {words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def serve(self, *words: str) -> "subprocess.Popen[str]":
        """The image as a container in front."""
        command = [self._program, "run", "--rm", "--name", CONTAINER, *words, IMAGE]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def _run(self, words: tuple[str | Path, ...]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self._program, *map(str, words)],
            cwd=ROOT,
            env={**os.environ, **OF_PODMAN},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_LIMIT_S,
        )


def base(engine: Engine) -> str:
    """The image that ours begins with: the real one, else one of Debian's packages with the pip settings from here."""
    if engine.ends_well("image", "inspect", BASE) or engine.ends_well("pull", "-q", BASE):
        return BASE
    archive = TOOLS / "base.tar"
    if not archive.exists():
        hooks = (
            'ln -s python3 "$1/usr/bin/python"',
            'mkdir -p "$1/etc/ssl/certs"; cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/" || true',
            'cp /etc/pip.conf "$1/etc/" || true',
        )
        made = archive.with_suffix(".new.tar")
        subprocess.run(
            [
                needed("mmdebstrap", f"no registry has {BASE}; `apt-get install mmdebstrap` makes another"),
                *("--quiet", "--variant=minbase", "--include=python3-venv"),
                *(f"--customize-hook={hook}" for hook in hooks),
                *("bookworm", made),
            ],
            check=True,
            timeout=BUILD_LIMIT_S,
        )
        made.rename(archive)
    engine("import", archive, OURS)
    return OURS


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that has built the image."""
    running = [one for one in map(found, ("docker", "podman")) if one and Engine(one).ends_well("info")]
    if not running:
        pytest.skip("needs an engine: Docker, or `apt-get install podman runc`")
    own = Engine(running[0])
    first = base(own)
    recipe = tmp_path_factory.mktemp("recipe") / "Dockerfile"
    recipe.write_text(DOCKERFILE.read_text().replace("FROM python:3.11-slim-bookworm", f"FROM {first}"))
    recipe.with_name("Dockerfile.dockerignore").write_text(DOCKERFILE.with_name("Dockerfile.dockerignore").read_text())
    own("build", "--network", "host", "-f", recipe, "-t", IMAGE, ".")
    yield own
    own("rmi", IMAGE, *({first} - {BASE}))


@pytest.mark.deploy
async def test_the_image_serves_as_its_user_is_healthy_writes_nothing_and_stops(engine: Engine, tmp_path: Path) -> None:
    postgresql, port = PostgreSQL(tmp_path), free_port()
    await postgresql.start(synchronous=False)
    kept_key(key := tmp_path / "auth.key")
    key.chmod(0o644)
    variables = {
        "DATABASE_URL": f"postgresql://app@127.0.0.1:{postgresql.primary.port}/rollcall",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "AUTH_PRIVATE_KEY_FILE": "/run/secrets/auth_key",
        "CLUSTER_WORKERS": "1",
        "PORT": str(port),
        "STATUS_PORT": "0",
    }
    given = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
    own = ("--network", "host", "--no-healthcheck", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
    with engine.serve("-v", f"{key}:/run/secrets/auth_key:ro", *AS_COMPOSE, *own, *given) as process:
        try:
            check = health_check(engine, port)
            end_s = time.monotonic() + START_LIMIT_S
            while not engine.ends_well("exec", CONTAINER, *check):
                assert process.poll() is None and time.monotonic() < end_s
            assert engine("exec", CONTAINER, "id", "-u") == "10001\n"
            assert not engine.ends_well("exec", CONTAINER, "touch", "/opt/rollcall/x")
            assert engine("exec", CONTAINER, "cat", "/proc/1/cmdline") == "python\0server.py\0"
            engine("stop", "-t", "45", CONTAINER)
        finally:
            engine.ends_well("kill", CONTAINER)
            await postgresql.stop()
            _, said = process.communicate()
    assert process.returncode == 0, said
    assert "Traceback" not in said and said.count("worker 1 has left") == 1


def health_check(engine: Engine, port: int) -> list[str]:
    """The image's own, against another port than its own."""
    [found] = json.loads(engine("image", "inspect", IMAGE))
    kind, *command = (found.get("Healthcheck") or found["Config"]["Healthcheck"])["Test"]
    assert kind == "CMD"
    return [word.replace(":3002/", f":{port}/") for word in command]
