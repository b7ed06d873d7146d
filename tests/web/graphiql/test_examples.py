"""The example operations: valid against the contract, within what is built today, and readable where they are shown."""

from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    ObjectFieldNode,
    OperationDefinitionNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    parse,
    validate,
    visit,
)

from tests.web.graphiql.company import CONTRACT
from web.graphiql_routes import DIST

EXAMPLES = DIST.parent / "src" / "examples"
PRINTED = Path(__file__).parents[3] / "schema" / "schema.graphql"
SCHEMAS = [path for path in (CONTRACT, PRINTED) if path.exists()]
OPERATION_BY_FILE = {
    "today.graphql": "Today",
    "late.graphql": "LateThisMonthByDepartment",
    "month_grid.graphql": "MonthGrid",
    "check_in.graphql": "CheckIn",
}
# What fits beside the explorer in a window of 1280 x 800.
LINE_LENGTH = 30
LATER_TYPES = {
    *("LeaveType", "LeaveBalance", "LeaveRequest", "CorrectionRequest", "Approvable", "ApprovalStep"),
    *("ApprovalConnection", "AuditEvent", "AuditConnection", "PayPeriod", "PeriodLocked"),
    *("ImportJob", "ExportJob", "Job", "IssueConnection"),
}
LATER_FIELDS = {"DashboardToday.pendingApprovals", "DashboardToday.onLeave", "PeriodInput.payPeriodId"}


def document_of(file_name: str) -> DocumentNode:
    return parse((EXAMPLES / file_name).read_text())


class Used(Visitor):
    """Collects the named types an operation gets or gives, and its fields as Type.field."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types
        self.names: set[str] = set()
        self.fields: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self._note(self.types.get_parent_type(), node.name.value, self.types.get_type())

    def enter_object_field(self, node: ObjectFieldNode, *_: object) -> None:
        self._note(self.types.get_parent_input_type(), node.name.value, self.types.get_input_type())

    def _note(self, parent: object, field: str, output: object) -> None:
        owner, named = get_named_type(parent), get_named_type(output)
        self.fields.add(f"{owner.name}.{field}")
        self.names.add(named.name)


def used_by(file_name: str) -> Used:
    types = TypeInfo(build_schema(CONTRACT.read_text()))
    used = Used(types)
    visit(document_of(file_name), TypeInfoVisitor(types, used))
    return used


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.parent.name)
@pytest.mark.parametrize(("file_name", "operation_name"), OPERATION_BY_FILE.items())
def test_an_example_is_valid_and_named_as_its_button_expects(file_name: str, operation_name: str, schema: Path) -> None:
    document = document_of(file_name)
    assert validate(build_schema(schema.read_text()), document) == []
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name
    assert operation.name.value == operation_name


@pytest.mark.parametrize("file_name", OPERATION_BY_FILE)
def test_an_example_keeps_to_what_is_built(file_name: str) -> None:
    used = used_by(file_name)
    assert used.names & LATER_TYPES == set()
    assert used.fields & LATER_FIELDS == set()


def test_what_comes_later_is_named_as_the_contract_names_it() -> None:
    schema = build_schema(CONTRACT.read_text())
    assert set(schema.type_map) >= LATER_TYPES
    for owner, field in (later.split(".") for later in LATER_FIELDS):
        assert field in schema.type_map[owner].fields  # type: ignore[attr-defined]


def test_late_this_month_is_a_statistic_of_departments() -> None:
    used = used_by("late.graphql")
    assert {f"StatMetrics.{name}" for name in ("lateCount", "lateHours", "punctualityRate", "attendanceRate")} <= (
        used.fields
    )
    text = "".join((EXAMPLES / "late.graphql").read_text().split())
    assert "stats(filter:{period:{relative:THIS_MONTH}}groupBy:[DEPARTMENT]" in text


@pytest.mark.parametrize("file_name", OPERATION_BY_FILE)
def test_an_example_fits_the_editor(file_name: str) -> None:
    lines = (EXAMPLES / file_name).read_text().splitlines()
    assert [line for line in lines if len(line) > LINE_LENGTH and not line.startswith("query ")] == []


def test_these_are_all_the_examples() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(OPERATION_BY_FILE)
