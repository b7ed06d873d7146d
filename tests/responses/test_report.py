"""`X-Rollcall-Cache: explain`: what an answer rests on and cost, for administrators and auditors alone."""

from typing import Any

import pytest

from domain.ids import encode_id
from tests.kit.small_company import ADMIN, AUDITOR, DAY, EMPLOYEE, ENGINEERING, HR, MANAGER
from tests.mutations.changing import department
from tests.responses.questions import QUESTIONS
from tests.responses.service import Service, status
from tests.web.asgi import Reply

EXPLAIN = {"X-Rollcall-Cache": "explain"}
NAMES = "{ departments { name } }"


async def explained(service: Service, query: str, user: str) -> tuple[Reply, dict[str, Any]]:
    """The answer, and the report in it."""
    answer = await service.ask(query, user, headers=EXPLAIN)
    assert answer.headers["cache-control"] == "no-store" and "etag" not in answer.headers
    return answer, answer.json["extensions"]["cache"]


async def test_it_tells_what_an_answer_cost_and_rests_on(fresh_service: Service) -> None:
    service = fresh_service
    await service.change("saveDepartment", HR, id=department(ENGINEERING), name="Making")
    answer, report = await explained(service, NAMES, AUDITOR)
    size_bytes = report.pop("bytes")
    ages = {tag["tag"]: tag["ageSeconds"] for tag in report.pop("tags")}
    assert list(ages) == ["department", "department.any"]
    assert ages["department"] is None and 0 <= ages["department.any"] < 60
    assert report == {
        "response": "fwd=miss; stored",
        "validUntil": None,
        "viewerFacts": [],
        "redisReads": 2,
        "sql": ["viewer_by_user", "departments"],
        "loaders": [
            {"loader": "viewer", "batches": 1, "keys": 1, "hits": 0, "misses": 1, "bypasses": {}},
            {"loader": "departments", "batches": 1, "keys": 1, "hits": 0, "misses": 1, "bypasses": {}},
        ],
        "restsOnStampsOnly": True,
        "tagCount": 2,
    }
    plain = await service.ask(NAMES, AUDITOR)
    assert (status(plain), plain.json, len(plain.body)) == ("hit", {"data": answer.json["data"]}, size_bytes)


async def test_a_hit_says_so(service: Service) -> None:
    await service.ask(QUESTIONS["people"], AUDITOR)
    await service.settle()
    _, report = await explained(service, QUESTIONS["people"], AUDITOR)
    assert (report["response"], report["redisReads"], report["sql"]) == ("hit", 2, [])
    assert report["loaders"] == [{"loader": "viewer", "batches": 1, "keys": 1, "hits": 1, "misses": 0, "bypasses": {}}]
    assert report["viewerFacts"] == ["identified", "pseudonymous"]
    assert {tag["tag"].partition("=")[0] for tag in report["tags"]} == {
        "department",
        "department.any",
        "employee",
        "employee.any",
        "employee.id",
        "location",
        "location.any",
    }


async def test_what_is_not_kept_says_why(service: Service) -> None:
    query = '{ me { email } node(id: "nonsense") { id } }'
    answer, report = await explained(service, query, ADMIN)
    assert (report["response"], len(answer.json["errors"])) == ("fwd=bypass; detail=error", 1)
    _, report = await explained(service, "{ __typename }", ADMIN)
    assert (report["response"], report["restsOnStampsOnly"]) == ("fwd=bypass; detail=unstamped", False)


@pytest.mark.parametrize("user", [HR, MANAGER, EMPLOYEE])
async def test_from_others_the_header_is_ignored(service: Service, user: str) -> None:
    first = await service.ask(NAMES, user, headers=EXPLAIN)
    assert (status(first), "extensions" in first.json) == ("fwd=miss; stored", False)
    assert (await service.ask(NAMES, user, headers=EXPLAIN)).body == first.body
    etag = {"If-None-Match": first.headers["etag"]}
    assert (await service.ask(NAMES, user, method="GET", headers=EXPLAIN | etag)).status == 304


async def test_nobody_gets_no_report(service: Service) -> None:
    refused = await service.ask(NAMES, None, headers=EXPLAIN)
    assert (refused.code, "extensions" in refused.json) == ("UNAUTHENTICATED", False)


async def test_another_word_than_explain_means_nothing(service: Service) -> None:
    answer = await service.ask(NAMES, ADMIN, headers={"X-Rollcall-Cache": "off"})
    assert "extensions" not in answer.json


async def test_the_report_of_an_auditor_reaches_nobody_else(service: Service) -> None:
    await explained(service, NAMES, AUDITOR)
    for user in (AUDITOR, HR, EMPLOYEE):
        answer = await service.ask(NAMES, user)
        assert (status(answer), "extensions" in answer.json) == ("hit", False)


async def touched(service: Service, query: str, user: str = ADMIN, **variables: Any) -> Any:
    """What the report says that a mutation invalidates."""
    answer = await service.ask(query, user, variables, headers=EXPLAIN)
    [payload] = answer.json["data"].values()
    assert payload["userErrors"] == []
    return answer.json.get("extensions", {}).get("cache")


RULE = f"""mutation($dry: Boolean) {{ saveShiftRule(input: {{ shiftId: "{encode_id("Shift", DAY)}",
  validFrom: "2026-03-17", startTime: "08:00", endTime: "17:00" }}, dryRun: $dry) {{
  changedDays userErrors {{ message }} }} }}"""


async def test_a_dry_run_lists_what_it_would_invalidate(fresh_service: Service) -> None:
    """The same as the change itself then does; nothing is invalidated before that."""
    service, kept = fresh_service, "{ shifts { rules { validFrom } } }"
    await service.ask(kept, ADMIN)
    dry = await touched(service, RULE, dry=True)
    assert {"shift_rule.any", "attendance_day.work_date=2026-03-17"} <= set(dry["invalidates"])
    assert dry["tagCount"] == len(dry["invalidates"])
    assert status(await service.ask(kept, ADMIN)) == "hit"
    assert await touched(service, RULE, dry=False) == dry
    assert status(await service.ask(kept, ADMIN)) == "fwd=stale; stored"


async def test_only_administrators_and_auditors_are_told_what_is_invalidated(fresh_service: Service) -> None:
    assert await touched(fresh_service, RULE, HR, dry=True) is None
    plain = await fresh_service.ask(RULE, ADMIN, {"dry": True})
    assert "extensions" not in plain.json
