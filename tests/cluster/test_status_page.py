"""The live page in a headless Chromium, while a load runs and a worker is killed."""

from pathlib import Path

import pytest

from tests.cluster.conftest import Start
from tests.cluster.load import Load, ask_once
from tests.cluster.test_status import watched
from tests.web.graphiql.chromium import chromium, chromium_path

pytestmark = pytest.mark.browser


async def test_page_shows_load_and_a_death(start: Start, tmp_path: Path) -> None:
    path = chromium_path()
    if path is None:
        pytest.skip("needs Chromium: `apt-get install chromium`, or set CHROMIUM to its path")
    cluster = await watched(start)
    origin = f"http://127.0.0.1:{cluster.status_port}"
    async with (
        Load(cluster.port, clients=4, pause_s=0.02) as load,
        chromium(path, tmp_path) as browser,
        browser.opened(f"{origin}/") as page,
    ):
        await ask_once(cluster.port, "/?slow_ms=750")
        await page.until_text("#operations", "query Example")
        await page.until_text("#loaders", "75 %")
        await page.until("/^\\d+$/.test(document.querySelector('#loaders td:last-child').innerText)")  # fills
        await page.until_text("#viewers", "HR\t100 %")
        await page.until("/Writes\\t\\d+\\theld in/.test(document.querySelector('#coherence').innerText)")
        await page.until("/Hits compared\\t\\d+\\tas in/.test(document.querySelector('#coherence').innerText)")
        await page.until_text("#coherence", "Stale\t0\tnone found")
        await page.until_text("#slow", "example_slow")
        await page.until_text("#health", "degraded · redis: Redis does not answer")
        await page.until("document.querySelector('#throughput path.one').getAttribute('d').includes('L')")
        victim = cluster.workers()[0]
        victim.kill()
        await page.until(f"document.querySelector('#lives rect.left[data-pid=\"{victim.pid}\"]')")
        await page.until("document.querySelectorAll('#lives line.death').length === 1")
        await page.until_text("#lives", "2 of 2 workers serve; 1 replaced after a death")
        colours = []
        for scheme, width in (("light", 1440), ("dark", 1440), ("light", 390), ("dark", 320)):
            await page.prefer(scheme)
            await page.resize(width, 800)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} is too narrow"
            fits = "document.querySelector('#loaders').scrollWidth <= document.querySelector('#loaders').clientWidth"
            assert await page.evaluate(fits), f"the loaders do not fit {width}"
            colours.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(set(colours)) == 2
        assert load.total > 0
        assert {request.removeprefix(origin) for request in page.requests} == {
            "/",
            "/page.css",
            "/page.js",
            "/icon.svg",
            "/events",
        }
        assert page.errors == []


async def test_page_finds_a_restarted_status_port_again(start: Start, tmp_path: Path) -> None:
    path = chromium_path()
    if path is None:
        pytest.skip("needs Chromium: `apt-get install chromium`, or set CHROMIUM to its path")
    cluster = await watched(start, CLUSTER_WORKERS=1)
    async with chromium(path, tmp_path) as browser, browser.opened(f"http://127.0.0.1:{cluster.status_port}/") as page:
        await page.until_text("#health", "degraded")
        [status] = [process for process in cluster.processes() if "status" in " ".join(process.cmdline())]
        status.kill()
        await page.until_text("#health", "no connection to the status port, trying again")
        await page.until_text("#health", "degraded")
