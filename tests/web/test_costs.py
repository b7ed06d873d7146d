"""What operations of the contract cost, to the unit."""

from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    get_introspection_query,
    parse,
    validate,
    value_from_ast_untyped,
)

from schema.root import api
from tests.web.sample_schema import schema as strawberry_schema
from web.costs import OperationCost
from web.http_settings import LimitSettings
from web.limits import DocumentPass

LIST_SIZE = 10
TODAY = "filter: {period: {relative: TODAY}}"
MARCH_1_TO_20 = '{range: {from: "2026-03-01", to: "2026-03-20"}}'


def contract() -> GraphQLSchema:
    """The contract with its @cost where field_cost looks for it."""
    schema = build_schema((Path(__file__).parents[1] / "contract" / "schema.graphql").read_text())
    types = [kind for kind in schema.type_map.values() if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)]
    for field in (field for kind in types for field in kind.fields.values()):
        for directive in (field.ast_node and field.ast_node.directives) or ():
            if directive.name.value == "cost":
                arguments = {a.name.value: value_from_ast_untyped(a.value) for a in directive.arguments or ()}
                field.extensions = {"cost": arguments}
    return schema


CONTRACT = contract()


def cost(query: str, schema: GraphQLSchema = CONTRACT, **variables: Any) -> int:
    document = parse(query)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return OperationCost(DocumentPass(schema, document).count(operation).cost, LIST_SIZE).under(variables)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{__typename}", 0),
        ("{me {id}}", 1),
        ("{shifts {id}}", LIST_SIZE),
        ("{employees {nodes {id}}}", 50 + 50),  # the contract's default is 50
        ("{employees(first: 7) {nodes {id}}}", 7 + 7),
        ("{employees(first: null) {nodes {id}}}", 50 + 50),
        ("{employees(first: 0) {nodes {id}}}", 0),
        ("{employees(first: -5) {nodes {id}}}", 0),
        ("{employees(last: 7) {nodes {id}}}", 7 + 7),
        ("{employees(first: 3, last: 7) {nodes {id}}}", 7 + 7),
        ("{attendance(filter: {period: {relative: TODAY}}, first: 5) {totalCount}}", 5 + 10),
        ("{employees(first: 5) {pageInfo {endCursor}}}", 5 + 1),
        ("{employees(first: 5) {edges {node {id}}}}", 5 + 5 * (1 + 1)),
        ("{employees(first: 5) {edges {node {department {id}}}}}", 5 + 5 * (1 + 1 + 1)),
        ("{employees(first: 5) {nodes {reports(first: 4) {nodes {id}}}}}", 5 + 5 * (1 + 1 + 4)),
        ("{employees(first: 500) {nodes {manager {reports(first: 500) {nodes {id}}}}}}", 252_000),  # of docs/errors
        (
            f"{{employees(first: 200) {{nodes {{department {{id}} attendance(period: {MARCH_1_TO_20}) {{id}}}}}}}}",
            4_600,
        ),
        ("{users(first: 7) {id}}", 7),
        ('{nodes(ids: ["a", "b", "c"]) {id}}', 3),
        ('{nodes(ids: ["a", "b", "c"]) {... on Employee {department {id}}}}', 3 * (1 + 1)),
        ("{monthGrid(year: 2026, month: 3, first: 20) {days rows {codes employee {id}}}}", 20 * 2 + 20 * (1 + 1)),
        (
            "{attendance(filter: {period: {relative: TODAY}}, first: 5) {nodes {explain {step}}}}",
            5 + 5 * (1 + 5 + LIST_SIZE),
        ),
        ("{stats(filter: {period: {relative: TODAY}}) {rows {metrics {workedHours}}}}", 20 + LIST_SIZE * (1 + 1)),
        ("{today {inNow}}", 10),
        (f"{{employee {{attendance(period: {MARCH_1_TO_20}) {{id}}}}}}", 1 + 20),
        ("{employee {attendance(period: {relative: LAST_90_DAYS}) {id punches {id}}}}", 1 + 90 * (1 + LIST_SIZE)),
        ('{employee {attendance(period: {payPeriodId: "x"}) {id}}}', 1 + 31),
        ('{employee {attendance(period: {range: {from: "2026-03-20", to: "2026-03-01"}}) {id}}}', 1),
        ('{employee {attendance(period: {range: {from: "x", to: "y"}}) {id}}}', 1 + LIST_SIZE),
        ("{a: employees(first: 3) {nodes {id}} b: employees(first: 4) {nodes {id}}}", 6 + 8),
        ("{unknown {x} employees(first: 3) {nodes {unknown {x}}}}", 3 + 3),
        ("mutation {checkIn(input: {}) {day {id}}}", 1 + 1),
    ],
)
def test_cost(query: str, expected: int) -> None:
    assert cost(query) == expected
    assert "unknown" in query or validate(CONTRACT, parse(query)) == []


@pytest.mark.parametrize(
    ("variables", "size"),
    [
        ({"n": 7}, 7),
        ({"n": 7.0}, 7),
        ({"n": True}, 50),
        ({"n": "7"}, 50),
        ({"n": None}, 50),
        ({}, 50),
        ({"n": 10**30}, 2**31 - 1),
        ({"n": float("nan")}, 0),
        ({"n": [1, 2, 3]}, 3),
    ],
)
def test_sizes_from_variables(variables: dict[str, Any], size: int) -> None:
    assert cost("query($n: Int) {employees(first: $n) {nodes {id}}}", **variables) == 2 * size


def test_periods_and_ids_from_variables() -> None:
    period = {"range": {"from": "2026-01-01", "to": "2026-12-31"}}
    assert cost("query($p: PeriodInput!) {employee {attendance(period: $p) {id}}}", p=period) == 1 + 365
    inside = 'query($t: Date!) {employee {attendance(period: {range: {from: "2026-01-01", to: $t}}) {id}}}'
    assert cost(inside, t="2026-01-05") == 1 + 5
    assert cost("query($ids: [ID!]!) {nodes(ids: $ids) {id}}", ids=["a"] * 40) == 40


def test_a_number_and_a_variable_for_one_length() -> None:
    query = "query($n: Int) {employees(first: 3, last: $n) {nodes {id}}}"
    assert [cost(query, n=size) for size in (2, 4, None)] == [2 * 3, 2 * 4, 2 * 3]


def test_only_what_waits_for_variables_is_priced_again() -> None:
    document = parse(
        "query A($n: Int) {me {...U} employees(first: $n) {nodes {...E}}} query B {employees(first: 3) {nodes {...E}}}"
        " fragment U on User {employee {id}} fragment E on Employee {department {id}}"
    )
    walk = DocumentPass(CONTRACT, document)
    roots = [walk.count(node).cost for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    costs = [OperationCost(root, LIST_SIZE) for root in roots]
    assert [(root.settled, len(root.fields), len(root.spreads)) for root in roots] == [((2, 0), 1, 0), ((9, 0), 0, 0)]
    assert [costs[0].under({"n": size}) for size in (0, 1, 10)] == [2, 2 + 3, 2 + 30]
    assert costs[1].under({}) == 3 + 3 * (1 + 1)


def test_fragments_cost_wherever_they_are_spread() -> None:
    query = "{a: me {...U} b: me {...U} ... on Query {c: me {...U}}} fragment U on User {employee {department {id}}}"
    assert cost(query) == 3 * (1 + 2)


def test_fragments_that_double_are_computed_once_each() -> None:
    fragments = " ".join(
        f"fragment F{n} on Employee {{a: manager {{...F{n + 1}}} b: manager {{...F{n + 1}}}}}" for n in range(60)
    )
    assert cost(f"{{employee {{...F0}}}} {fragments} fragment F60 on Employee {{id}}") == 2**61 - 1


def test_introspection_fits() -> None:
    assert cost(get_introspection_query()) < LimitSettings().cost / 2


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{people {nodes {name}}}", 50 + 50),
        ("{people(first: 3) {nodes {name explain}}}", 3 + 3 * (1 + 5)),
        ("{people(first: 3) {totalCount nodes {days {name}}}}", 3 + 10 + 3 * (1 + 20)),
    ],
)
def test_directives_of_strawberry(query: str, expected: int) -> None:
    assert cost(query, strawberry_schema._schema) == expected


def test_what_is_followed_costs_what_asking_for_it_once_does() -> None:
    asked, followed = (cost(query, api._schema) for query in ("{today {inNow}}", "subscription {todayChanged {inNow}}"))
    assert (asked, followed) == (10, 10)
