"""All 61 server audits of npm graphql-http against a real hypercorn; run.mjs is what a person runs by hand."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.web.asgi import sample_app
from tests.web.serving import served
from web.http_settings import HttpSettings

HERE = Path(__file__).parent
LIMIT_S = 120.0  # of npm, which may have to download two packages


async def output_of(*command: str) -> tuple[int, str]:
    """Exit code and everything that a command in this folder says."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=HERE,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, f"{' '.join(command)}: no end within {LIMIT_S:g} s"
    return process.returncode or 0, said.decode()


@pytest.fixture
async def audits() -> None:
    """The packages of package-lock.json below this folder."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"needed {program} (Node 20 or newer) on PATH for the GraphQL over HTTP audits, found none")
    _, version = await output_of("node", "--version")
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        pytest.skip(f"needed Node 20 or newer for the GraphQL over HTTP audits, found {version.strip()}")
    if not (HERE / "node_modules" / "graphql-http").is_dir():
        code, said = await output_of("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        if code:
            pytest.skip(f"needed the npm packages of tests/audit/package-lock.json, npm ci ended with {code}: {said}")


@pytest.mark.usefixtures("audits")
async def test_all_audits_pass_in_development_mode(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    async with served(sample_app(http=HttpSettings.of(introspection=True))) as port:
        code, said = await output_of("node", "run.mjs", f"http://127.0.0.1:{port}/graphql", "--json", str(report))
    assert said.splitlines() == ["MUST   13/13 ok", "SHOULD 23/23 ok", "MAY    25/25 ok", "61 passed, 0 failed"]
    assert code == 0
    results: list[dict[str, Any]] = json.loads(report.read_text())["results"]
    assert [result for result in results if result["status"] != "ok"] == []
    assert len({result["id"] for result in results}) == 61


@pytest.mark.usefixtures("audits")
async def test_the_audits_notice_a_schema_that_is_kept_secret() -> None:
    async with served(sample_app(http=HttpSettings.of(introspection=False))) as port:
        code, said = await output_of("node", "run.mjs", f"http://127.0.0.1:{port}/graphql")
    assert (code, said.splitlines()[-1]) == (1, "57 passed, 4 failed")
