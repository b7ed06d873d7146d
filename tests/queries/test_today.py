"""The dashboard and presences at 10:30 in Mumbai, and as the clock moves on."""

from typing import Any

from domain.enums import PunchDirection
from tests.kit.raw_days import FIGURES, figures, raw_days
from tests.kit.rig import Rig
from tests.kit.small_company import HR, LEO, MIA, TESS, TODAY

TODAY_QUERY = f"""{{ today {{ asOf inNow pendingApprovals exceptionsOpen totals {{ {FIGURES} }}
  lateNotIn {{ fullName }} onLeave {{ totalCount nodes {{ fullName }} }}
  byDepartment {{ keys {{ label }} metrics {{ {FIGURES} }} }} }} }}"""
PRESENCES = "{ employees { nodes { employeeNo presence { state since { local zone } } } } }"


async def presences(rig: Rig) -> dict[str, Any]:
    nodes = (await rig.data(PRESENCES, None, await rig.viewer(HR)))["employees"]["nodes"]
    found = {node["employeeNo"]: node["presence"] for node in nodes}
    return {number: (one["state"], one["since"] and one["since"]["local"]) for number, one in found.items()}


async def test_today_at_a_glance(rig: Rig) -> None:
    found = (await rig.data(TODAY_QUERY, None, await rig.viewer(HR)))["today"]
    days = await raw_days(rig, TODAY, TODAY)
    assert found["asOf"] == "2026-03-17T05:00:00Z"
    assert found["inNow"] == 3  # Grace, Zoe, and Nina since last night
    assert found["totals"] == figures(days)
    late = ["Paul Gate", "Alex Kim", "Ines Move"]  # Paul of last night: it is 01:00 where he works
    assert [person["fullName"] for person in found["lateNotIn"]] == late
    assert found["onLeave"] == {"totalCount": 1, "nodes": [{"fullName": "Mia Chen"}]}
    assert found["pendingApprovals"] == 1
    open_days = await rig.records(
        "SELECT count(*) FROM attendance_day WHERE exceptions & (4 + 8 + 512) <> 0 AND work_date >= '2026-02-15'"
    )
    assert found["exceptionsOpen"] == open_days[0][0] == 24
    names = {1: "Company", 2: "Engineering", 3: "Backend", 4: "Frontend", 5: "Operations", 6: "Gate", 7: "Lab"}
    rows = {row["keys"][0]["label"]: row["metrics"] for row in found["byDepartment"]}
    assert rows == {name: figures(day for day in days if day["department_id"] == key) for key, name in names.items()}


async def test_where_everybody_is(rig: Rig) -> None:
    assert await presences(rig) == {
        "E001": ("OUT", "2026-03-17T10:00"),
        "E002": ("ON_BREAK", "2026-03-17T10:00"),
        "E003": ("IN", "2026-03-17T09:00"),
        "E004": ("NOT_EXPECTED", None),
        "E005": ("LATE_NOT_IN", None),
        "E006": ("NOT_EXPECTED", None),
        "E007": ("ON_LEAVE", None),
        "E008": ("NOT_EXPECTED", None),
        "E009": ("IN", "2026-03-16T22:00"),
        "E010": ("LATE_NOT_IN", None),
        "E011": ("IN", "2026-03-17T09:12"),
        "E012": ("NOT_EXPECTED", None),
        "E013": ("LATE_NOT_IN", None),
        "E014": ("NOT_EXPECTED", None),
    }
    assert (MIA, LEO, TESS) == (7, 12, 14)


async def test_the_clock_moves_on(rig: Rig) -> None:
    rig.clock.forward(hours=3, minutes=5)  # 09:05 in Berlin: the grace of five minutes is just over, not yet passed
    assert (await presences(rig))["E006"] == ("NOT_EXPECTED", None)
    rig.clock.forward(minutes=1)
    assert (await presences(rig))["E006"] == ("LATE_NOT_IN", None)
    late = (await rig.data(TODAY_QUERY, None, await rig.viewer(HR)))["today"]["lateNotIn"]
    assert [person["fullName"] for person in late] == ["Paul Gate", "Alex Kim", "Ines Move", "Alex Kim"]


async def test_a_punch_changes_the_answer_at_once(fresh_rig: Rig) -> None:
    hr = await fresh_rig.viewer(HR)
    before = await fresh_rig.warm(TODAY_QUERY, None, hr)
    async with fresh_rig.rows() as rows:
        await rows.punch(TESS, "2026-03-17T10:29", PunchDirection.IN)
        await rows.derive([TESS], TODAY, TODAY, fresh_rig.clock())
    after = await fresh_rig.execute(TODAY_QUERY, None, hr)
    assert after.data["today"]["inNow"] == before.data["today"]["inNow"] + 1
    assert (await presences(fresh_rig))["E014"] == ("IN", "2026-03-17T10:29")
