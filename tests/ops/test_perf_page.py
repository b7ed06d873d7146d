"""The report of a load test in a browser: nothing is asked of the network, nothing is refused, and it fits a phone."""

from pathlib import Path

import pytest

from ops.perf.flame import Samples
from ops.perf.flame_svg import flame_svg
from ops.perf.page import page
from ops.perf.saturation import analysis_of_run, verdict
from tests.ops.test_perf_judgement import made_run
from tests.web.graphiql.chromium import chromium, chromium_path

pytestmark = pytest.mark.browser
SHOWN = "[...document.querySelectorAll('.f')].filter((one) => one.style.display !== 'none').length"


async def test_the_report_is_drawn_and_stays_by_itself(tmp_path: Path) -> None:
    path = chromium_path()
    if path is None:
        pytest.skip("needs Chromium: `apt-get install chromium`, or set CHROMIUM to its path")
    run = made_run()
    findings = analysis_of_run(run)
    (tmp_path / "run.html").write_text(page(run, findings, verdict(findings)))
    address = (tmp_path / "run.html").as_uri()
    async with chromium(path, tmp_path) as browser, browser.opened(address) as tab:
        await tab.until_text("h1", "Load test")
        for width in (1240, 390):
            await tab.resize(width, 900)
            assert await tab.evaluate("document.documentElement.scrollWidth") <= width
            assert await tab.evaluate("[...document.querySelectorAll('svg')].every((one) => one.clientHeight > 100)")
        assert await tab.evaluate("getComputedStyle(document.querySelector('.line.p95')).stroke") == "rgb(45, 108, 223)"
        assert tab.requests == [address]
        assert tab.errors == []


async def test_a_click_zooms_the_flame_graph(tmp_path: Path) -> None:
    path = chromium_path()
    if path is None:
        pytest.skip("needs Chromium: `apt-get install chromium`, or set CHROMIUM to its path")
    stacks = {("a (web/a.py)", "b (db/b.py)"): 3, ("a (web/a.py)", "c (db/c.py)"): 5, ("d (web/d.py)",): 2}
    (tmp_path / "flame.svg").write_text(flame_svg(Samples(stacks, 0, 1, 1.0)))
    address = (tmp_path / "flame.svg").as_uri()
    async with chromium(path, tmp_path) as browser, browser.opened(address) as tab:
        assert await tab.until(SHOWN) == 5
        await tab.click("document.querySelectorAll('.f')[2]")
        assert (
            await tab.evaluate("document.querySelectorAll('.f')[2].textContent")
            == "b (db/b.py): 3 samples, 30.0%b (db/b.py)"
        )
        assert await tab.evaluate("+document.querySelectorAll('.f rect')[2].getAttribute('width')") == 1180
        assert await tab.evaluate(SHOWN) == 3, "itself and the two below it"
        await tab.click("document.querySelectorAll('.f')[0]")
        assert await tab.evaluate(SHOWN) == 5
        assert (tab.requests, tab.errors) == ([address], [])
