"""What an analyst does with the page, in a headless Chromium."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.web.graphiql.chromium import Browser, Page, chromium, chromium_path
from tests.web.graphiql.company import EMPLOYEE, HR, PASSWORD, Company, serving

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

EDITOR = ".graphiql-query-editor .view-lines"
RESPONSE = ".graphiql-response .view-lines"
RUN = "document.querySelector('.graphiql-execute-button')"
SIGNED_IN = ".signed-in"
DOWNLOAD_TIMEOUT_SECONDS = 10
TODAY_CSV = (
    "\ufeffkeys.1.label,metrics.headcount,metrics.presentDays,metrics.absentDays,metrics.leaveDays,"
    "metrics.lateCount,metrics.attendanceRate\r\n"
    "Operations,900,610.5,2,0,40,0.67\r\n"
    '"\'=HYPERLINK(""x""), Süd",1,0,0,1,0,\r\n'
    "'-Sales,12,11,0,0,2,0.91\r\n"
)
NESTED = (
    "query Staff { employees { edges { cursor node { fullName attendance(period: {relative: TODAY}) "
    "{ workDate exceptions } reports { totalCount nodes { fullName } } } } } }"
)
NESTED_CSV = (
    "\ufefffullName,reports.totalCount,attendance.workDate,attendance.exceptions.1,attendance.exceptions.2,"
    "reports.fullName\r\n"
    "Asha Rao,2,2026-03-16,LATE_IN,EARLY_OUT,\r\n"
    "Asha Rao,2,2026-03-17,,,\r\n"
    "Asha Rao,2,,,,Bo Ek\r\n"
    "Asha Rao,2,,,,Cy Li\r\n"
    "Bo Ek,0,,,,\r\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    path = chromium_path()
    if path is None:
        pytest.skip("needs Chromium: `apt-get install chromium`, or set CHROMIUM to its path")
    async with chromium(path, tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def company() -> Company:
    return Company()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, company: Company) -> AsyncIterator[Page]:
    async with serving(company.app(HR, EMPLOYEE)) as origin, browser.opened(f"{origin}/graphiql") as page:
        await page.until_text(EDITOR, "query Today")
        await page.until_text(".graphiql-explorer-root", "approvalInbox")
        yield page
        assert other_origins(page) == []
        assert page.errors == []


async def download(page: Page) -> str:
    """What the button gives; a click is lost when the page draws itself anew under it."""
    for _ in range(3):
        await page.click_button("Download CSV")
        with suppress(TimeoutError):
            guid = await asyncio.wait_for(page.downloaded.get(), DOWNLOAD_TIMEOUT_SECONDS)
            return (page.browser.downloads / guid).read_bytes().decode()
    raise AssertionError("no download came of three clicks")


def other_origins(page: Page) -> list[str]:
    own = urlsplit(page.requests[0]).netloc
    return [
        url for url in page.requests if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != own
    ]


def assert_refused(page: Page) -> None:
    """The browser itself notes the refused sign-in, and nothing else."""
    [error] = page.take_errors()
    assert re.fullmatch(r"Failed to load resource: .* 400 .*/auth/token", error)


async def test_an_analyst_signs_in_runs_an_example_and_takes_the_result_home(page: Page, company: Company) -> None:
    assert await page.evaluate("document.title") == "Rollcall GraphiQL"
    fields = await page.evaluate("document.querySelector('.graphiql-explorer-root').innerText")
    assert {"employees", "stats", "monthGrid", "payPeriods"} <= set(fields.split())
    await page.type_into("input[name=email]", HR.email)
    await page.type_into("input[name=password]", PASSWORD)
    await page.press("Enter")
    await page.until_text(SIGNED_IN, f"Signed in as {HR.email}")
    await page.click(RUN)
    await page.until_text(RESPONSE, '"inNow": 1234')
    assert await download(page) == TODAY_CSV
    await page.until_text(".download", "Today.csv: 3 rows")
    assert company.grants == ["password"]
    assert company.asked == [("IntrospectionQuery", None), ("Today", "Bearer access-1")]
    workers = [url for url in page.requests if ".worker-" in url]
    assert workers, "Monaco's workers came from files of ours"


STATS_ASKED = {
    "filter": {"period": {"relative": "THIS_MONTH"}},
    "groupBy": ["DEPARTMENT"],
    "orderBy": {"metric": "LATE_HOURS", "direction": "DESC"},
    "limit": 500,
    "compareToPrevious": False,
}


@pytest.mark.parametrize(
    ("label", "operation", "asked", "shown", "csv"),
    [
        (
            "Late this month by department",
            "LateThisMonthByDepartment",
            STATS_ASKED,
            '"lateHours": 12.25',
            "\ufeffkeys.1.label,metrics.lateCount,metrics.lateHours,metrics.punctualityRate,metrics.attendanceRate"
            "\r\nOperations,40,12.25,0.93,0.91\r\n",
        ),
        (
            "Month grid",
            "MonthGrid",
            {"year": date.today().year, "month": date.today().month, "first": 50},
            '"fullName": "Asha Rao"',
            "\ufeffemployee.employeeNo,employee.fullName,employee.department.name,codes.1,codes.2,codes.3,codes.4,"
            "totals.presentDays,totals.absentDays,totals.leaveDays,totals.lateCount,totals.workedHours"
            "\r\nE0042,Asha Rao,Operations,P,P,W,L,2,0,1,0,16\r\n",
        ),
        (
            "Check in",
            "CheckIn",
            {"input": {"note": "From GraphiQL"}},
            '"lateMinutes": 3',
            "\ufeffcheckIn.punch.at.local,checkIn.punch.at.zone,checkIn.punch.direction,checkIn.punch.source,"
            "checkIn.day.workDate,checkIn.day.status,checkIn.day.firstIn.local,checkIn.day.lateMinutes,"
            "checkIn.day.shift.name"
            "\r\n2026-03-17T09:03,Asia/Kolkata,IN,WEB,2026-03-17,PRESENT,2026-03-17T09:03,3,General\r\n",
        ),
    ],
)
async def test_each_example_runs_at_once_as_a_demo_user(
    page: Page, company: Company, label: str, operation: str, asked: dict[str, object], shown: str, csv: str
) -> None:
    await page.click_button("Employee")
    await page.until_text(SIGNED_IN, EMPLOYEE.email)
    await page.click_button(label)
    await page.until_text(EDITOR, operation)
    await page.click(RUN)
    await page.until_text(RESPONSE, shown)
    assert company.asked[-1] == (operation, "Bearer access-1")
    assert company.arguments == [asked]
    assert await download(page) == csv


async def test_all_of_it_works_without_a_mouse(page: Page, company: Company) -> None:
    await page.tab_to("HR")
    await page.press("Enter")
    await page.until_text(SIGNED_IN, HR.email)
    await page.tab_to("Late this month by department", back=True)
    await page.press("Enter")
    await page.until_text(EDITOR, "LateThisMonthByDepartment")
    await page.press("Enter", control=True)
    await page.until_text(RESPONSE, '"lateHours": 12.25')
    await page.tab_to("provisional", back=True)
    await page.press(" ")
    await page.until(f"!document.querySelector('{EDITOR}').innerText.includes('provisional')")
    await page.tab_to("Show History", back=True)
    await page.press("Enter")
    await page.until_text(".graphiql-history", "LateThisMonthByDepartment")
    await page.tab_to("Download CSV")
    await page.press("Enter")
    await page.until_text(".download", "LateThisMonthByDepartment.csv: 1 row")
    assert [name for name, _ in company.asked] == ["IntrospectionQuery", "LateThisMonthByDepartment"]


async def test_lists_in_a_list_make_lines_of_their_own(page: Page) -> None:
    await page.click_button("HR")
    await page.until_text(SIGNED_IN, HR.email)
    await page.click(f"document.querySelector('{EDITOR}')")
    await page.press("a", control=True)
    await page.call("Input.insertText", text=NESTED)
    await page.press("Enter", control=True)
    await page.until_text(RESPONSE, "Cy Li")
    assert await download(page) == NESTED_CSV
    await page.until_text(".download", "Staff.csv: 5 rows")


async def test_the_policy_stops_what_is_of_another_origin_or_inline(page: Page) -> None:
    await page.evaluate("new Promise((end) => { fetch('https://example.org/').catch(end); })")
    await page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), { text: 'var ran = 1' }))"
    )
    assert await page.evaluate("typeof ran") == "undefined"
    violated: set[str] = set()
    async with asyncio.timeout(30):
        while violated != {"connect-src", "script-src-elem"}:
            await asyncio.sleep(0.01)
            violated |= set(re.findall(r"'violatedDirective': '([\w-]+)'", "".join(page.take_errors())))


async def test_a_refused_sign_in_says_so_in_words(page: Page, company: Company) -> None:
    await page.type_into("input[name=email]", HR.email)
    await page.type_into("input[name=password]", "wrong")
    await page.click_button("Sign in")
    await page.until_text("[role=alert]", "The email or the password is wrong.")
    await page.click(RUN)
    await page.until_text(RESPONSE, "You are not signed in.")
    await page.click_button("HR")
    await page.until_text(SIGNED_IN, HR.email)
    assert await page.evaluate("document.querySelector('[role=alert]').innerText") == ""
    assert_refused(page)


async def test_a_token_that_is_no_longer_taken_is_refreshed_and_the_operation_sent_again(
    page: Page, company: Company
) -> None:
    await page.click_button("HR")
    await page.until_text(SIGNED_IN, HR.email)
    company.forget_tokens()
    await page.click(RUN)
    await page.until_text(RESPONSE, '"inNow": 1234')
    assert company.grants == ["password", "refresh_token"]
    assert company.asked[1:] == [("Today", "Bearer access-1"), ("Today", "Bearer access-2")]


async def test_a_token_that_is_about_to_expire_is_refreshed_first(page: Page, company: Company) -> None:
    company.expires_in_s = 20
    await page.click_button("HR")
    await page.until_text(SIGNED_IN, HR.email)
    company.expires_in_s = 900
    await page.click(RUN)
    await page.until_text(RESPONSE, '"inNow": 1234')
    assert company.grants == ["password", "refresh_token"]
    assert company.asked[1:] == [("Today", "Bearer access-2")]


async def test_the_header_can_be_taken_to_other_clients(page: Page) -> None:
    allowed = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    await page.browser.call("Browser.grantPermissions", permissions=allowed, browserContextId=page.context)
    await page.call("Emulation.setFocusEmulationEnabled", enabled=True)
    await page.click_button("HR")
    await page.until_text(SIGNED_IN, HR.email)
    await page.click_button("Copy header")
    await page.until("[...document.querySelectorAll('button')].some((b) => b.innerText === 'Copied')")
    assert await page.evaluate("navigator.clipboard.readText()") == "Authorization: Bearer access-1"


async def test_a_session_that_cannot_be_refreshed_ends_in_words(page: Page, company: Company) -> None:
    await page.click_button("HR")
    await page.until_text(SIGNED_IN, HR.email)
    company.forget_tokens()
    company.refresh_token = None
    await page.click(RUN)
    await page.until_text("[role=alert]", "Your session has ended. Sign in again.")
    await page.until("!!document.querySelector('form.sign-in')")
    assert_refused(page)


async def test_a_session_outlives_a_reload_and_ends_with_signing_out(page: Page) -> None:
    await page.click_button("HR")
    await page.until_text(SIGNED_IN, HR.email)
    await page.go("Page.reload")
    await page.until_text(SIGNED_IN, HR.email)
    assert json.loads(await page.evaluate("sessionStorage['rollcall.session']"))["accessToken"] == "access-1"
    assert await page.evaluate("JSON.stringify(localStorage).includes('access-1')") is False
    await page.click_button("Sign out")
    await page.until("!!document.querySelector('form.sign-in')")
    assert await page.evaluate("sessionStorage.length") == 0


async def test_without_the_demo_nobody_is_offered(browser: Browser, company: Company) -> None:
    async with serving(company.app()) as origin, browser.opened(f"{origin}/graphiql") as page:
        await page.until_text(".graphiql-explorer-root", "approvalInbox")
        assert await page.evaluate("document.querySelector('.demo-users')") is None


async def boxes(page: Page, *selectors: str) -> list[dict[str, float]]:
    return [
        await page.until(f"document.querySelector('{each}').getBoundingClientRect().toJSON()") for each in selectors
    ]


async def test_a_laptop_shows_all_of_it_beside_each_other(page: Page) -> None:
    await page.resize(1280, 800)
    explorer, query, response, csv = await boxes(
        page, ".graphiql-plugin", ".graphiql-query-editor", ".graphiql-response", ".download"
    )
    assert explorer["right"] <= query["left"]
    assert query["right"] <= response["left"]
    assert min(explorer["width"], query["width"], response["width"]) > 280
    assert csv["bottom"] <= 800
    assert await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
        1280,
        800,
    ]


async def test_a_small_window_shows_all_of_it_below_each_other(page: Page) -> None:
    await page.resize(390, 844)
    # the editors follow a moment later
    await page.until("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    explorer, query, response, csv = await boxes(
        page, ".graphiql-plugin", ".graphiql-query-editor", ".graphiql-response", ".download"
    )
    assert explorer["bottom"] <= query["top"]
    assert query["bottom"] <= response["top"]
    assert response["bottom"] <= csv["bottom"]
    assert min(explorer["width"], query["width"], response["width"]) > 250
