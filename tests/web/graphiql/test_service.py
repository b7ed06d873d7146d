"""GraphiQL on the real service: `python server.py` with workers, its demo company and the real answers, in Chromium."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from bench.ground import Ground, filled, leased
from bench.service import serving
from tests.web.graphiql.chromium import Browser, Page, chromium, chromium_path
from tests.web.graphiql.test_page import EDITOR, RESPONSE, RUN, SIGNED_IN, download, other_origins

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

EMPLOYEES, DAYS, WORKERS = 60, 12, 2


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("service")
    with leased(data) as servers:
        ground = Ground(servers, data, EMPLOYEES, asyncio.run(filled(servers.database_url, EMPLOYEES, DAYS)))
        with serving(ground.environment(), data / "service.log", WORKERS) as service:
            yield f"http://127.0.0.1:{service.port}"
        assert "Traceback" not in (data / "service.log").read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    path = chromium_path()
    if path is None:
        pytest.skip("needs Chromium: `apt-get install chromium`, or set CHROMIUM to its path")
    async with chromium(path, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, origin: str) -> AsyncIterator[Page]:
    async with browser.opened(f"{origin}/graphiql") as page:
        await page.until_text(EDITOR, "query Today")
        await page.until_text(".graphiql-explorer-root", "monthGrid")
        yield page
        assert other_origins(page) == []
        assert page.errors == []


async def sign_in(page: Page, name: str) -> None:
    await page.click_button(name)
    await page.until_text(SIGNED_IN, f"{name}@rollcall.test")


async def run(page: Page, label: str, operation: str, shown: str) -> list[dict[str, str]]:
    """Run an example; the lines of its sheet."""
    await page.click_button(label)
    await page.until_text(EDITOR, operation)
    answers = "performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/graphql')).length"
    before = await page.evaluate(answers)
    await page.click(RUN)
    await page.until(
        f"{answers} > {before} && {RUN}.ariaLabel.startsWith('Execute')"
    )  # the answer to an earlier run may look the same
    await page.until_text(RESPONSE, shown)
    return list(csv.DictReader(io.StringIO((await download(page)).removeprefix("\ufeff"))))


async def number(page: Page, name: str) -> int:
    """The first number of a name in the answer that is shown."""
    text = await page.evaluate(f"document.querySelector('{RESPONSE}').innerText")
    return int(text.replace("\u00a0", " ").partition(f'"{name}": ')[2].partition(",")[0])


async def in_now(page: Page) -> int:
    await run(page, "Today", "query Today", '"inNow":')
    return await number(page, "inNow")


async def test_every_example_has_the_companys_answer(page: Page) -> None:
    await sign_in(page, "hr")
    today = await run(page, "Today", "query Today", '"byDepartment"')
    assert sum(int(row["metrics.headcount"]) for row in today) == await number(page, "headcount") > EMPLOYEES / 2
    late = await run(page, "Late this month by department", "query LateThisMonth", '"lateHours"')
    hours = [float(row["metrics.lateHours"]) for row in late]
    assert len(late) == len(today)
    assert hours == sorted(hours, reverse=True)
    grid = await run(page, "Month grid", "query MonthGrid", '"codes"')
    assert len({row["employee.employeeNo"] for row in grid}) == 50


async def test_a_check_in_moves_the_numbers_at_once(page: Page) -> None:
    await sign_in(page, "hr")
    before = await in_now(page)
    await sign_in(page, "employee")
    [row] = await run(page, "Check in", "mutation CheckIn", '"checkIn"')
    assert row["checkIn.punch.direction"] == "IN"
    await sign_in(page, "hr")
    assert await in_now(page) == before + 1


async def test_an_analyst_gets_the_grid_without_names(page: Page) -> None:
    async def named() -> set[str]:
        grid = await run(page, "Month grid", "query MonthGrid", '"codes"')
        return {row[name] for row in grid for name in ("employee.fullName", "employee.employeeNo")}

    await sign_in(page, "hr")
    names = await named()
    await sign_in(page, "analyst")
    assert (await named()).isdisjoint(names)


async def test_a_subscription_is_followed_until_it_is_stopped(page: Page) -> None:
    await sign_in(page, "employee")
    await page.evaluate("sessionStorage.setItem('of_employee', sessionStorage.getItem('rollcall.session'))")
    await sign_in(page, "hr")
    query = "subscription { todayChanged(minIntervalMs: 100) { inNow asOf } }"
    await page.click(f"document.querySelector('{EDITOR}')")
    await page.press("a", control=True)
    await page.call("Input.insertText", text=query)
    await page.click(RUN)
    await page.until_text(RESPONSE, '"todayChanged"')
    before = await number(page, "inNow")
    await page.until(f"{RUN}.ariaLabel.startsWith('Stop')")
    change, moved = ("checkOut", before - 1) if await checked_in(page) else ("checkIn", before + 1)
    await as_employee(page, f"mutation {{ {change}(input: {{}}) {{ userErrors {{ message }} }} }}")
    await page.until_text(RESPONSE, f'"inNow": {moved}')
    await page.click(RUN)
    await page.until(f"{RUN}.ariaLabel.startsWith('Execute')")


async def as_employee(page: Page, query: str) -> str:
    """The bytes of an answer to the employee, asked for beside GraphiQL."""
    body = f"JSON.stringify({{ query: `{query}` }})"
    token = "JSON.parse(sessionStorage.getItem('of_employee')).accessToken"
    headers = f"{{ 'content-type': 'application/json', authorization: 'Bearer ' + {token} }}"
    asked = f"fetch('graphql', {{ method: 'POST', headers: {headers}, body: {body} }})"
    return str(await page.evaluate(f"{asked}.then((answer) => answer.text())"))


async def checked_in(page: Page) -> bool:
    return '"IN"' in await as_employee(page, "{ me { employee { presence { state } } } }")
