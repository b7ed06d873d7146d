"""graphql-core's executor with one shortcut: a field that is a plain attribute of a row is read and coerced at once.

Most fields of a large answer are such columns, and what the general way does for each of them (a path, an info object,
argument values, checks for awaitables) cost over half of the CPU of executing it. Whatever is not plain, or goes wrong
on the short way, goes the general one, which alone knows how errors are reported.
"""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLObjectType,
    Undefined,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.pyutils import Path
from graphql.pyutils.gather_with_cancel import gather_with_cancel
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

Coerce = Callable[[Any], Any]
INT32: Final = 2**31


class Column(NamedTuple):
    """A field that is read by attribute: `coerce` raises for what is not such a value."""

    attribute: str
    coerce: Coerce
    nullable: bool


_columns_by_type: dict[GraphQLObjectType, dict[str, Column]] = {}


def columns_of(parent_type: GraphQLObjectType) -> dict[str, Column]:
    """The plain fields of a type, worked out once."""
    found = _columns_by_type.get(parent_type)
    if found is None:
        columns = {name: _column(field) for name, field in parent_type.fields.items()}
        found = {name: column for name, column in columns.items() if column is not None}
        _columns_by_type[parent_type] = found
    return found


def _column(field: GraphQLField) -> Column | None:
    definition = field.extensions.get("strawberry-definition")
    if definition is None or definition.base_resolver is not None or definition.extensions or field.args:
        return None
    type_: Any = field.type
    nullable = not is_non_null_type(type_)
    if not nullable:
        type_ = type_.of_type
    if is_leaf_type(type_):
        return Column(definition.python_name, _coercion(type_), nullable)
    if is_list_type(type_) and is_non_null_type(type_.of_type) and is_leaf_type(type_.of_type.of_type):
        return Column(definition.python_name, _list_coercion(_coercion(type_.of_type.of_type)), nullable)
    return None


def _coercion(type_: Any) -> Coerce:
    if isinstance(type_, GraphQLEnumType):
        # a dict of a strawberry enumeration's members: anything else is a KeyError
        return {member: type_.coerce_output_value(member) for member in _members(type_)}.__getitem__
    general: Coerce = type_.coerce_output_value
    return COERCION_BY_SCALAR.get(type_.name, general)


def _members(type_: GraphQLEnumType) -> list[Any]:
    definition: Any = type_.extensions["strawberry-definition"]
    return list(definition.wrapped_cls)


def _list_coercion(coerce: Coerce) -> Coerce:
    def coerced(values: Any) -> list[Any]:
        if type(values) not in (list, tuple):
            raise TypeError
        return [coerce(value) for value in values]

    return coerced


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _int(value: Any) -> int:
    if type(value) is not int or not -INT32 <= value < INT32:
        raise TypeError
    return value


def _float(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise TypeError
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError
    return value


COERCION_BY_SCALAR: Final[dict[str, Coerce]] = {
    "String": _text,
    "ID": _text,
    "Int": _int,
    "Float": _float,
    "Boolean": _boolean,
}


class RowExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes selections over rows."""

    def execute_fields(
        self, parent_type: Any, source_value: Any, path: Any, grouped_field_set: Any, position_context: Any
    ) -> Any:
        """As graphql-core's own method, with columns read on the way."""
        columns = columns_of(parent_type)
        results: dict[str, Any] = {}
        awaitable: list[str] = []
        try:
            for response_name, details in grouped_field_set.items():
                column = columns.get(details[0].node.name.value)
                if column is not None:
                    value = _read(column, source_value)
                    if value is not Undefined:
                        results[response_name] = value
                        continue
                field_path = Path(path, response_name, parent_type.name)
                result = self.execute_field(parent_type, source_value, details, field_path, position_context)
                if result is not Undefined:
                    results[response_name] = result
                    if self.is_awaitable(result):
                        awaitable.append(response_name)
        except Exception:
            if awaitable:
                self.settle_in_background([results[name] for name in awaitable])
            raise
        return _awaited(results, awaitable) if awaitable else results


def _read(column: Column, row: Any) -> Any:
    """The value as the answer shows it; Undefined sends the field the general way."""
    try:
        value = getattr(row, column.attribute)
        if value is None:
            return None if column.nullable else Undefined
        return column.coerce(value)
    except Exception:
        return Undefined


async def _awaited(results: dict[str, Any], awaitable: list[str]) -> dict[str, Any]:
    if len(awaitable) == 1:
        results[awaitable[0]] = await results[awaitable[0]]
    else:
        found = await gather_with_cancel(*(results[name] for name in awaitable))
        results.update(zip(awaitable, found, strict=True))
    return results
