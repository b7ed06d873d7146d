"""What people ask: every root field, the nested lists, figures, and everything that moves with time."""

import re
from typing import Final

from domain.ids import encode_id
from tests.kit.small_company import ALAN, BACKEND, ENGINEERING, GRACE, INES, MIA, MUMBAI, ZOE
from tests.web.asgi import Reply

GRACE_ID, MIA_ID, ZOE_ID, ALAN_ID, INES_ID = (encode_id("Employee", n) for n in (GRACE, MIA, ZOE, ALAN, INES))
ENGINEERING_ID, BACKEND_ID = (encode_id("Department", n) for n in (ENGINEERING, BACKEND))
MUMBAI_ID = encode_id("Location", MUMBAI)
USER_ID = encode_id("User", 8)
MARCH: Final = '{ period: { range: { from: "2026-03-01", to: "2026-03-31" } } }'
FIGURES: Final = "headcount presentDays absentDays leaveDays offDays lateCount workedHours pendingCount"

QUESTIONS: Final = {
    "me": "{ me { email isActive employee { fullName department { code } } roles { role expiresAt } } }",
    "users": "{ users(first: 50) { email isActive roles { role expiresAt department { code } } } }",
    "administrators": "{ users(role: ADMIN) { email } }",
    "departments": "{ departments { code name manager { fullName } children { code } parent { code } } }",
    "roots": "{ departments(rootsOnly: true) { code employees(first: 3) { totalCount nodes { fullName } } } }",
    "department_figures": f"{{ departments {{ code stats(period: {{ relative: LAST_7_DAYS }}) {{ {FIGURES} }} }} }}",
    "locations": "{ locations { code timeZone holidays(year: 2026) { date name half } } }",
    "shifts": "{ shifts { code color currentRule { validFrom graceInMinutes expectedMinutes } rules { validFrom } } }",
    "leave_types": "{ leaveTypes { code name } }",
    "nodes": f"""{{ nodes(ids: ["{GRACE_ID}", "{BACKEND_ID}", "{MUMBAI_ID}", "{USER_ID}"]) {{ __typename id
      ... on Employee {{ fullName version }} ... on Department {{ name }} ... on User {{ email isActive }} }} }}""",
    "node": f"""{{ node(id: "{INES_ID}") {{ ... on Employee {{
      fullName department {{ code }} location {{ code }} }} }} }}""",
    "employee": f"""{{ employee(id: "{GRACE_ID}") {{
      fullName email manager {{ fullName }} reports {{ totalCount }} }} }}""",
    "by_number": '{ employee(employeeNo: "E007") { fullName badgeNo shift { code } } }',
    "under_pseudonyms": f"""{{ employees(first: 50) {{ nodes {{ fullName hiredOn designation reports {{ totalCount }}
      summary(period: {{ relative: LAST_30_DAYS }}) {{ {FIGURES} suppressed }} }} }} }}""",
    "punches_of_days": """{ attendance(filter: { period: { relative: LAST_7_DAYS } }, first: 40) { nodes {
      workDate leaveType { code } punches { direction note device voidReason employee { fullName } } } } }""",
    "presence": f"""{{ a: employee(id: "{MIA_ID}") {{ presence {{ state since {{ local }} }} }}
      b: employee(id: "{ALAN_ID}") {{ presence {{ state since {{ local }} }} }} }}""",
    "own_week": f"""{{ employee(id: "{MIA_ID}") {{ attendance(period: {{ relative: THIS_WEEK }}) {{ workDate status }}
      summary(period: {{ relative: THIS_MONTH }}) {{ presentDays workedHours }} }} }}""",
    "schedule": f"""{{ employee(id: "{ZOE_ID}") {{ timeZone schedule(period: {{ relative: THIS_WEEK }}) {{
      date dayType origin startsAt {{ local }} shift {{ code }} }} }} }}""",
    "people": """{ employees(first: 100) { totalCount nodes {
      fullName email department { code } manager { fullName } } } }""",
    "search": '{ employees(filter: { search: "al" }) { nodes { fullName status } totalCount } }',
    "team": "{ employees(filter: { scope: { myTeam: true } }) { nodes { fullName } } }",
    "backend": f"""{{ employees(filter: {{ scope: {{ departmentIds: ["{ENGINEERING_ID}"] }} }},
      orderBy: [{{ field: DEPARTMENT }}]) {{ nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }}""",
    "days": f"""{{ attendance(filter: {MARCH}, first: 10, orderBy: [{{ field: LATE_MINUTES }}]) {{ totalCount
      totals {{ {FIGURES} }} nodes {{
      workDate status lateMinutes employee {{ fullName }} department {{ code }} }} }} }}""",
    "today_days": """{ attendance(filter: { period: { relative: TODAY } }) { nodes { workDate status overridden
      firstIn { local } employee { id } } } }""",
    "day": f"""{{ attendanceDay(employeeId: "{MIA_ID}", date: "2026-03-16") {{ status workedMinutes overridden
      version punches {{ direction voided device at {{ local }} }} shift {{ code }} }} }}""",
    "punches": f"""{{ employee(id: "{GRACE_ID}") {{ punches(period: {{ relative: LAST_7_DAYS }}) {{
      direction voided day {{ workDate status }} }}
      odd: punches(period: {{ relative: LAST_7_DAYS }}, unattributed: true) {{ id }} }} }}""",
    "odd_punches": f"""{{ attendanceDay(employeeId: "{MIA_ID}", date: "2026-03-16") {{
      unattributed {{ direction at {{ local }} }} }} }}""",
    "stats": f"""{{ stats(filter: {MARCH}, groupBy: [DEPARTMENT, STATUS], compareToPrevious: true) {{ asOf provisional
      rows {{ keys {{ value label }} metrics {{ {FIGURES} }} }} totals {{ {FIGURES} }} }} }}""",
    "by_manager": f"""{{ stats(filter: {{ period: {{ relative: LAST_30_DAYS }} }}, groupBy: [MANAGER]) {{ rows {{
      keys {{ label }} metrics {{ {FIGURES} }} }} }} }}""",
    "by_kind": f"""{{ stats(filter: {MARCH}, groupBy: [EMPLOYMENT_TYPE, LOCATION]) {{ rows {{
      keys {{ label }} metrics {{ headcount workedHours }} }} }} }}""",
    "today": f"""{{ today {{ asOf inNow exceptionsOpen pendingApprovals totals {{ {FIGURES} }} lateNotIn {{ id }}
      onLeave {{ nodes {{ id }} }} byDepartment {{ keys {{ label }} metrics {{ headcount }} }} }} }}""",
    "grid": """{ monthGrid(year: 2026, month: 3, first: 20) { days rows {
      employee { fullName } codes totals { presentDays } } } }""",
    "grid_of_backend": f"""{{ monthGrid(year: 2026, month: 3, scope: {{ departmentIds: ["{BACKEND_ID}"] }}) {{
      rows {{ employee {{ id }} codes }} }} }}""",
}


def comparable(reply: Reply) -> tuple[int, bytes]:
    """Status and body without the instants at which answers were made: an answer stays right longer than that."""
    return reply.status, re.sub(rb'"asOf":"[^"]*"', b'"asOf":"-"', reply.body)
