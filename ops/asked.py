"""An operation as a command was given it: a text, @FILE or the name of one that is asked often; and who asks it."""

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from db.database import Database
from db.frequent_operations import MOST_KEPT, FrequentOperation, frequent
from db.users import credentials_by_email
from domain.errors import RollcallError
from domain.ids import UserId
from web.answers import Answer
from web.environment import SettingsError
from web.execution import Execution, PreparedOperation
from web.graphql_request import GraphQLRequest
from web.negotiation import GRAPHQL_RESPONSE

NAME: Final = re.compile(r"\w+")


class Question(msgspec.Struct, frozen=True):
    """What the command was given; `option` is the one that names the user."""

    operation: str
    user: str = ""
    variables: str = ""
    option: str = "--user"


async def asked(database: Database, question: Question) -> tuple[GraphQLRequest, UserId]:
    """The request, and who makes it: as given, the rest as it was recorded."""
    often = await _asked_often(database)
    recorded = next((one for one in often if one.operation_name == question.operation), None)
    if recorded is None and NAME.fullmatch(question.operation):
        names = ", ".join(sorted({one.operation_name for one in often if one.operation_name})) or "none yet"
        raise SettingsError(
            "OPERATION: needed a query, @FILE, or the name of a query that is asked often,"
            f" got {question.operation!r}; asked often: {names}"
        )
    query = recorded.query if recorded else _text(question.operation)
    variables = _variables(question.variables or (recorded.variables if recorded else "{}"))
    name = recorded.operation_name if recorded else None
    if question.user:
        async with database.read() as connection:
            found = await credentials_by_email(connection, question.user)
        if found is None:
            raise RollcallError(f"{question.option}: needed the email of a user, got {question.user!r}")
        return GraphQLRequest(query, name, variables), UserId(found.id)
    if recorded is None:
        raise SettingsError(f"{question.option}: needed the email of the user who asks, got none")
    return GraphQLRequest(query, name, variables), recorded.user_id


def prepared_by(execution: Execution, request: GraphQLRequest) -> PreparedOperation:
    """The operation, checked."""
    prepared = execution.prepare(request, GRAPHQL_RESPONSE)
    if isinstance(prepared, PreparedOperation):
        return prepared
    raise RollcallError(f"OPERATION: needed a valid query, got one that is refused: {messages(prepared)}")


def messages(answer: Answer) -> str:
    """The errors of an answer in one line."""
    return "; ".join(error["message"] for error in orjson.loads(answer.body).get("errors", ()))[:500]


async def _asked_often(database: Database) -> list[FrequentOperation]:
    async with database.read() as connection:
        return list(await frequent(connection, MOST_KEPT))


def _text(operation: str) -> str:
    if not operation.startswith("@"):
        return operation
    try:
        return Path(operation[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"OPERATION: needed a file with a query, got {operation[1:]!r}: {error}") from None


def _variables(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise SettingsError(f"--variables: needed a JSON object, got {text[:80]!r}")
    return found
