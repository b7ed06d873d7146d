"""The Dockerfile without an engine: its steps in a folder of its own, its entry point and its health check.

What only an engine or root could do is left to test_engine.py: base images, the user, a file system that is read-only.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.cluster.conftest import free_port
from tests.deploy.tools import DEPLOY, ROOT, needed
from tests.kit.databases import Databases
from web.signing_key import kept_key

LIMIT_S, BUILD_LIMIT_S = 60.0, 400.0
IGNORED = ("node_modules", "__pycache__", "*.pyc")


class Step(NamedTuple):
    """An instruction and the rest of its lines."""

    name: str
    rest: str


def steps() -> Iterator[Step]:
    """The instructions of both stages."""
    lines = [line for line in (DEPLOY / "docker" / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line:
            yield Step(*line.split(maxsplit=1))


def stages() -> tuple[list[Step], list[Step]]:
    """The steps that build, and those of the image."""
    found = list(steps())
    second = [number for number, step in enumerate(found) if step.name == "FROM"][1]
    return found[1:second], found[second + 1 :]


class Image:
    """A folder that stands for the root of the image."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root
        self.variables: dict[str, str] = {}

    def inside(self, text: str) -> str:
        """Paths of the image as paths below the folder."""
        return re.sub(r"(?<![\w./])/(?=opt|var)", f"{self._root}/", text)

    def build(self) -> None:
        """Do the steps of the first stage."""
        for step in stages()[0]:
            match step.name:
                case "ENV":
                    self.variables |= dict(pair.split("=") for pair in step.rest.split())
                case "WORKDIR":
                    self._folder = Path(self.inside(step.rest))
                    self._folder.mkdir(parents=True)
                case "COPY":
                    self._copy(*step.rest.split())
                case "RUN":
                    command = re.sub(r"^python ", f"{sys.executable} ", self.inside(step.rest))
                    self._run(command)
                case _:
                    pytest.fail(f"this test does not know {step.name}")

    def _copy(self, *words: str) -> None:
        *sources, target = words
        for source in sources:
            path = ROOT / source
            if path.is_dir():
                shutil.copytree(path, self._folder / target, ignore=shutil.ignore_patterns(*IGNORED))
            else:
                goal = self._folder / target / (path.name if target.endswith("/") else "")
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, goal)

    def _run(self, command: str) -> None:
        environment = {**os.environ, **self.variables}
        done = subprocess.run(
            command,
            shell=True,
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_LIMIT_S,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"

    def start(self, **own: str) -> "subprocess.Popen[str]":
        """The entry point, as the second stage has it, with more variables."""
        given = dict(stages()[1])
        variables = dict(re.findall(r"(\w+)=(\S+)", self.inside(given["ENV"])))
        variables["PATH"] = variables["PATH"].replace("$PATH", os.environ["PATH"])
        return self._popen(json.loads(given["ENTRYPOINT"]), {**variables, **own}, given["WORKDIR"])

    def check(self, port: int) -> int:
        """The exit code of the health check, against another port than the image's."""
        [command] = re.findall(r"CMD (\[.*\])$", dict(stages()[1])["HEALTHCHECK"])
        words = json.loads(command.replace(":3002/", f":{port}/"))
        with self._popen(words, {"PATH": f"{self._root}/opt/venv/bin"}, "/opt/rollcall") as process:
            process.communicate()
        return process.returncode

    def _popen(self, words: list[str], variables: Mapping[str, str], folder: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [shutil.which(words[0], path=variables["PATH"]) or words[0], *words[1:]],
            cwd=self.inside(folder),
            env=dict(variables),
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    needed("hadolint", "`make test-deploy` installs it where a package registry can be reached, and so can the image")
    root = tmp_path_factory.mktemp("image")
    made = Image(root)
    made.build()
    Path(made.inside("/var/lib/rollcall")).mkdir(parents=True)
    return made


def files(image: Image) -> set[Path]:
    """What is in the image's own folders."""
    return {path for folder in ("/opt/rollcall", "/opt/venv") for path in Path(image.inside(folder)).rglob("*")}


@pytest.mark.deploy
def test_what_the_image_holds_serves_is_healthy_and_stops(image: Image, databases: Databases, tmp_path: Path) -> None:
    url, port = databases.new(), free_port()
    key = Path(image.inside("/opt/auth.key"))
    kept_key(key)
    shipped = files(image)
    process = image.start(
        DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1/0", AUTH_PRIVATE_KEY_FILE=str(key), CLUSTER_WORKERS="1",
        PORT=str(port), STATUS_PORT=str(free_port()),
    )  # fmt: skip
    try:
        end_s = time.monotonic() + LIMIT_S
        while image.check(port) != 0:
            assert process.poll() is None and time.monotonic() < end_s, process.stderr and process.stderr.read()
        workers = psutil.Process(process.pid).children()
        assert {Path(child.exe()).resolve() for child in workers} == {Path(sys.executable).resolve()}
    finally:
        process.terminate()
        _, said = process.communicate(timeout=LIMIT_S)
        databases.drop(url)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert image.check(port) == 1, "nothing answers any more"
    assert files(image) == shipped, "it writes nothing beside its data"
