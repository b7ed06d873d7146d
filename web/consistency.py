"""The consistency token: an answer to a mutation carries one, and a request that brings it back is never told less.

It travels as the header X-Rollcall-Consistency or as `extensions.consistency`, both ways.
"""

from typing import TYPE_CHECKING, Final

import msgspec
import orjson

from domain.consistency import Mark, mark_of, token_of
from resolvers.context import Context
from web.answers import Answer
from web.graphql_request import GraphQLRequest
from web.request_errors import RequestError

if TYPE_CHECKING:
    from starlette.datastructures import Headers

HEADER: Final = "X-Rollcall-Consistency"


def mark_in(headers: "Headers", request: GraphQLRequest) -> Mark | None:
    """What a request brings back, None without a token; the header comes before the extension."""
    given = headers.get(HEADER)
    name, text = (HEADER, given) if given is not None else ("extensions.consistency", request.consistency)
    if text is None:
        return None
    try:
        return mark_of(text)
    except ValueError as error:
        shown = text if len(text) <= 80 else text[:77] + "..."
        message = f"{name}: needed the token of an answer to a mutation as it came, got {shown!r}"
        raise RequestError("BAD_USER_INPUT", message, 400) from error


def past_the_cache(answer: Answer) -> Answer:
    """The answer to a query whose token the cache had not heard of."""
    told = {"Cache-Status": "rollcall; fwd=bypass; detail=consistency"}
    return msgspec.structs.replace(answer, headers={**answer.headers, **told})


def with_token(answer: Answer, context: object) -> Answer:
    """The answer to an operation, with a token if that committed something."""
    if not isinstance(context, Context) or context.loaders.written is None:
        return answer
    token = token_of(context.loaders.written)
    body = answer.body.removesuffix(b"}") + b',"extensions":' + orjson.dumps({"consistency": token}) + b"}"
    return msgspec.structs.replace(answer, body=body, headers={**answer.headers, HEADER: token})
