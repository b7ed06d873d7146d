"""What a schema breaks of a contract: what is missing, looser for who reads, or stricter for who asks.

Output types may be added to and made stricter; inputs may be made looser, and whatever they are given besides has to be
optional; defaults stay as they are.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphql import (
    DirectiveNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    is_required_argument,
    is_required_input_field,
    is_specified_scalar_type,
    print_ast,
)

Composite = GraphQLObjectType | GraphQLInterfaceType
Input = GraphQLArgument | GraphQLInputField


def names_of(schema: GraphQLSchema) -> set[str]:
    """Every `Type` and `Type.field` of a schema."""
    found = set()
    for name, type_ in own_types(schema).items():
        fields = getattr(type_, "fields", {})
        found |= {name, *(f"{name}.{field}" for field in fields)}
    return found


def own_types(schema: GraphQLSchema) -> Mapping[str, GraphQLNamedType]:
    """The types that are not part of GraphQL itself."""
    return {
        name: type_
        for name, type_ in schema.type_map.items()
        if not name.startswith("__") and not is_specified_scalar_type(type_)
    }


def broken_promises(ours: GraphQLSchema, contract: GraphQLSchema) -> Iterator[str]:
    """What both schemas have, but ours not as promised, one sentence each."""
    for name, promised in own_types(contract).items():
        if given := ours.type_map.get(name):
            yield from _type(name, given, promised)


def _type(name: str, given: GraphQLNamedType, promised: GraphQLNamedType) -> Iterator[str]:
    if type(given) is not type(promised):
        yield f"{name}: needed {type(promised).__name__}, got {type(given).__name__}"
    elif isinstance(promised, GraphQLEnumType) and isinstance(given, GraphQLEnumType):
        yield from _lost(name, given.values, promised.values)
    elif isinstance(promised, GraphQLUnionType) and isinstance(given, GraphQLUnionType):
        yield from _lost(name, _names(given.types), _names(promised.types))
    elif isinstance(promised, GraphQLInputObjectType) and isinstance(given, GraphQLInputObjectType):
        yield from _inputs(name, given.fields, promised.fields, is_required_input_field)
        if given.is_one_of != promised.is_one_of:
            yield f"{name}: needed @oneOf {promised.is_one_of}, got {given.is_one_of}"
    elif isinstance(promised, Composite) and isinstance(given, Composite):
        yield from _lost(f"{name} implements", _names(given.interfaces), _names(promised.interfaces))
        for field in promised.fields.keys() & given.fields.keys():
            yield from _field(f"{name}.{field}", given.fields[field], promised.fields[field])


def _field(path: str, given: GraphQLField, promised: GraphQLField) -> Iterator[str]:
    if not keeps_promise(given.type, promised.type):
        yield f"{path}: needed {promised.type}, got {given.type}"
    yield from _inputs(path, given.args, promised.args, is_required_argument)
    if _directives(given) != _directives(promised):
        yield f"{path}: needed directives {_directives(promised)}, got {_directives(given)}"


def _inputs(
    path: str, given: Mapping[str, Input], promised: Mapping[str, Input], is_required: Callable[[Any], bool]
) -> Iterator[str]:
    yield from _lost(path, given, promised)
    for name in promised.keys() & given.keys():
        ours, theirs = given[name], promised[name]
        if not keeps_promise(theirs.type, ours.type):
            yield f"{path}({name}): needed {theirs.type}, got {ours.type}"
        if _default(ours) != _default(theirs):
            yield f"{path}({name}): needed the default {_default(theirs)}, got {_default(ours)}"
    for name in given.keys() - promised.keys():
        if is_required(given[name]):
            yield f"{path}({name}): is not in the contract and yet required"


def keeps_promise(narrow: object, wide: object) -> bool:
    """Whether every value of `narrow` is one of `wide`, both types by their names."""
    if isinstance(narrow, GraphQLNonNull):
        return keeps_promise(narrow.of_type, wide.of_type if isinstance(wide, GraphQLNonNull) else wide)
    if isinstance(wide, GraphQLNonNull):
        return False
    if isinstance(narrow, GraphQLList) and isinstance(wide, GraphQLList):
        return keeps_promise(narrow.of_type, wide.of_type)
    return str(narrow) == str(wide)


def _lost(path: str, given: Any, promised: Any) -> Iterator[str]:
    for name in promised:
        if name not in given:
            yield f"{path}: lacks {name}"


def _names(types: Any) -> set[str]:
    return {type_.name for type_ in types}


def _default(value: Input) -> str | None:
    node = value.ast_node.default_value if value.ast_node else None
    return print_ast(node) if node else None


def _directives(field: GraphQLField) -> list[str]:
    assert field.ast_node is not None
    return [_told(directive) for directive in field.ast_node.directives or ()]


def _told(directive: DirectiveNode) -> str:
    arguments = ", ".join(sorted(print_ast(argument) for argument in directive.arguments or ()))
    return f"@{directive.name.value}({arguments})"
