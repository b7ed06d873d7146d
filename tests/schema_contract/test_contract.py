"""The schema is the one in schema.graphql, keeps what the contract promises, and describes everything."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import GraphQLEnumType, GraphQLSchema, build_schema

from schema.root import printed
from tests.schema_contract.comparison import broken_promises, names_of, own_types
from tests.schema_contract.left_out import DIFFERS, LEFT_OUT

CHECKOUT = Path(__file__).parents[2]
CONTRACT = (CHECKOUT / "tests" / "contract" / "schema.graphql").read_text()


def test_the_printed_schema_is_the_one_in_the_repository() -> None:
    written = (CHECKOUT / "schema" / "schema.graphql").read_text()
    advice = "python -c \"from schema.root import printed; print(printed(), end='')\" > schema/schema.graphql"
    assert written == printed(), f"schema/schema.graphql is not what the code says: {advice}"


def test_what_the_contract_has_and_we_have_not_is_left_out_on_purpose() -> None:
    missing = names_of(build_schema(CONTRACT)) - names_of(build_schema(printed()))
    whole = {name for name in missing if "." not in name}
    missing = {name for name in missing if "." not in name or name.split(".")[0] not in whole - {"Mutation"}}
    assert missing == LEFT_OUT.keys()


def test_what_we_have_is_as_the_contract_promises() -> None:
    assert list(broken_promises(build_schema(printed()), build_schema(CONTRACT))) == list(DIFFERS)


@pytest.mark.parametrize(
    ("promised", "given", "broken"),
    [
        ("enum E { A B }", "enum E { A }", "E: lacks B"),
        ("type T { a: Int! }", "type T { a: Int }", "T.a: needed Int!, got Int"),
        ("type T { a: [Int!] }", "type T { a: [Int] }", "T.a: needed [Int!], got [Int]"),
        ("type T { a: Int }", "type T { a: String }", "T.a: needed Int, got String"),
        ("type T { a(b: Int): Int }", "type T { a: Int }", "T.a: lacks b"),
        ("type T { a(b: Int): Int }", "type T { a(b: Int!): Int }", "T.a(b): needed Int, got Int!"),
        ("type T { a(b: Int = 1): Int }", "type T { a(b: Int = 2): Int }", "T.a(b): needed the default 1, got 2"),
        ("type T { a: Int }", "type T { a(b: Int!): Int }", "T.a(b): is not in the contract and yet required"),
        ("input I { a: Int }", "input I { a: Int b: Int! }", "I(b): is not in the contract and yet required"),
        ("input I { a: Int }", "input I { a: Int! }", "I(a): needed Int, got Int!"),
        ("type I { a: Int }", "input I { a: Int }", "I: needed GraphQLObjectType, got GraphQLInputObjectType"),
        ("input I @oneOf { a: Int }", "input I { a: Int }", "I: needed @oneOf True, got False"),
        ("interface N { a: Int } type T implements N { a: Int }", "type T { a: Int }", "T implements: lacks N"),
        ("union U = A | B type A { a: Int } type B { a: Int }", "union U = A type A { a: Int }", "U: lacks B"),
        (
            "directive @cost(weight: Int) on FIELD_DEFINITION type T { a: Int @cost(weight: 2) }",
            "directive @cost(weight: Int) on FIELD_DEFINITION type T { a: Int @cost(weight: 3) }",
            "T.a: needed directives ['@cost(weight: 2)'], got ['@cost(weight: 3)']",
        ),
    ],
)
def test_the_comparison_notices(promised: str, given: str, broken: str) -> None:
    assert list(broken_promises(build_schema(given), build_schema(promised))) == [broken]


@pytest.mark.parametrize(
    ("promised", "given"),
    [
        ("type T { a: [Int] }", "type T { a: [Int!]! b: Int }"),
        ("type T { a(b: Int!): Int }", "type T { a(b: Int, c: Int, d: Int! = 1): Int }"),
        ("input I { a: Int! }", "input I { a: Int b: Int }"),
        ("enum E { A }", "enum E { A B }"),
    ],
)
def test_the_comparison_lets_through(promised: str, given: str) -> None:
    assert list(broken_promises(build_schema(given), build_schema(promised))) == []


def test_everything_is_described() -> None:
    assert list(_undescribed(build_schema(printed()))) == []


def _undescribed(schema: GraphQLSchema) -> Iterator[str]:
    for name, type_ in own_types(schema).items():
        if not type_.description:
            yield name
        if isinstance(type_, GraphQLEnumType):
            yield from (f"{name}.{value}" for value, found in type_.values.items() if not found.description)
        for field_name, field in getattr(type_, "fields", {}).items():
            if not field.description:
                yield f"{name}.{field_name}"
            for argument_name, argument in getattr(field, "args", {}).items():
                if not argument.description:
                    yield f"{name}.{field_name}({argument_name})"


def test_a_lack_of_description_is_noticed() -> None:
    schema = build_schema(
        '"t" type T { "a" a("b" b: Int, c: Int): E d: Int } "e" enum E { "x" X Y } input I { a: Int }'
    )
    assert set(_undescribed(schema)) == {"T.a(c)", "T.d", "E.Y", "I", "I.a"}
