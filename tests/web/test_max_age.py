"""The maximum age of an answer: the least of its fields, none unless the operator allows it."""

import pytest
from graphql import OperationDefinitionNode, build_schema, parse

from web.environment import SettingsError
from web.max_age import MaxAges

SCHEMA = build_schema(
    """
    interface Named { name: String! }
    type Shift implements Named { name: String!, rules: [Rule!]! }
    type Rule { start: String!, shift: Shift! }
    type Query { shifts: [Shift!]!, today: Int!, named: Named }
    """
)
AGES = MaxAges(SCHEMA, {"Query.shifts": 300, "Query.named": 60, "Shift.rules": 30, "Rule.start": 45})


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("{ shifts { name } }", 300),
        ("{ shifts { name rules { shift { name } } } }", 30),
        ("{ shifts { name } today }", 0),
        ("{ shifts { name } named { name } }", 60),
        ("{ named { name ... on Shift { rules { start } } } }", 30),
        ("{ ...F } fragment F on Query { shifts { ...G } } fragment G on Shift { rules { start } }", 30),
        ("{ shifts { ...G } again: shifts { ...G } } fragment G on Shift { __typename }", 300),
        ("{ __typename }", 0),
        ("{ __schema { queryType { name } } }", 0),
        ("query A { shifts { name __typename } }", 300),
    ],
)
def test_the_least_of_the_fields(query: str, seconds: int) -> None:
    document = parse(query)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert AGES.of(document, operation) == seconds
    assert MaxAges(SCHEMA, {}).of(document, operation) == 0


@pytest.mark.parametrize("name", ["Query.nothing", "Nothing.shifts", "shifts", "Query"])
def test_a_field_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"RESPONSE_MAX_AGE: needed fields of the schema.*, got {name}"):
        MaxAges(SCHEMA, {name: 1})
