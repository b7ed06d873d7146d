"""What a client asked for: the parameters of GraphQL over HTTP, from a JSON body or from a query string."""

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
import orjson

from web.no_nul import ESCAPED, refuse_nul
from web.request_errors import RequestError, bad_request

PARAMETERS = ("query", "operationName", "variables", "extensions")
QUOTED_PARAMETERS = tuple(f'"{name}"'.encode() for name in PARAMETERS)
DEEPEST_JSON = 64  # orjson encodes 254 levels; a JSON scalar may come back inside an answer
MOST_URL_BYTES = 16_384


class GraphQLRequest(msgspec.Struct, frozen=True):
    """One operation to execute."""

    query: str
    operation_name: str | None
    variables: dict[str, Any]
    consistency: str | None = None
    """`extensions.consistency`, see web/consistency.py."""


def check_content_type(header: str | None, encoding: str | None) -> None:
    """A body must be uncompressed application/json in UTF-8."""
    if header == "application/json" and encoding is None:
        return
    media_type, *parameters = (part.strip().lower() for part in (header or "").split(";"))
    charset = dict(parameter.partition("=")[::2] for parameter in parameters).get("charset", "utf-8").strip('"')
    if media_type != "application/json" or charset not in ("utf-8", "utf8"):
        shown = (header or "none")[:80]
        raise RequestError(
            "UNSUPPORTED_MEDIA_TYPE", f"Content-Type: needed application/json in UTF-8, got {shown}", 415
        )
    if encoding not in (None, "", "identity"):
        raise RequestError("UNSUPPORTED_MEDIA_TYPE", "Content-Encoding: needed none, send the body uncompressed", 415)


def from_body(body: bytes) -> GraphQLRequest:
    """Read a JSON body; raises RequestError saying what was needed and what came."""
    if not body:
        raise bad_request('the request has no body: needed a JSON object with a "query"')
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the request body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise bad_request(f'the request body: needed a JSON object with a "query", got {json_type(value)}')
    _refuse_depth(body, value)
    if any(body.count(quoted) > 1 for quoted in QUOTED_PARAMETERS):
        json.loads(body, object_pairs_hook=_refuse_duplicates)
    request = from_parameters(value)
    if ESCAPED in body:
        refuse_nul(request.variables)
    return request


def from_message(message: bytes, payload: Mapping[str, Any]) -> GraphQLRequest:
    """Check the parameters that a message brings; `message` are the bytes of the whole of it."""
    _refuse_depth(message, payload)
    request = from_parameters(payload)
    if ESCAPED in message:
        refuse_nul(request.variables)
    return request


def from_query_string(query_string: bytes) -> GraphQLRequest:
    """Read the parameters of a GET; `variables` and `extensions` are JSON texts."""
    if len(query_string) > MOST_URL_BYTES:
        raise RequestError("PAYLOAD_TOO_LARGE", "the URL is too long: send the operation by POST", 414)
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise bad_request("the query string is not URL-encoded UTF-8") from None
    given: dict[str, Any] = {}
    for name, text in pairs:
        if name not in PARAMETERS:
            continue
        if name in given:
            raise bad_request(f"{name}: given more than once")
        given[name] = _json_parameter(name, text) if name in ("variables", "extensions") else text
    if given.get("operationName") == "":
        del given["operationName"]
    request = from_parameters(given)
    refuse_nul(request.variables)
    return request


def from_parameters(given: Mapping[str, Any]) -> GraphQLRequest:
    """Check the types of the four parameters; others are ignored, as the specification wants."""
    query, extensions = given.get("query"), given.get("extensions")
    _check_type(given, "extensions", dict)
    if query is None and isinstance(extensions, dict) and "persistedQuery" in extensions:
        raise RequestError("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
    if query is None:
        raise bad_request("query: needed a GraphQL document, got none")
    for name, kind in (("query", str), ("operationName", str), ("variables", dict)):
        _check_type(given, name, kind)
    consistency = (extensions or {}).get("consistency")
    if consistency is not None and not isinstance(consistency, str):
        raise bad_request(f"extensions.consistency: needed a string, got {json_type(consistency)}")
    return GraphQLRequest(query, given.get("operationName"), given.get("variables") or {}, consistency)


def json_type(value: object) -> str:
    """The JSON name of a value's type, for messages."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _check_type(given: Mapping[str, Any], name: str, kind: type) -> None:
    value = given.get(name)
    if value is not None and not isinstance(value, kind):
        raise bad_request(f"{name}: needed {json_type(kind())}, got {json_type(value)}")


def _json_parameter(name: str, text: str) -> object:
    if not text:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"{name}: not JSON: {error}") from None
    _refuse_depth(text.encode(), value)
    return cast("object", value)


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> None:
    """A key twice means one thing to a proxy and another to us."""
    names = [name for name, _ in pairs]
    for name in PARAMETERS:
        if names.count(name) > 1:
            raise bad_request(f"{name}: given more than once")


def _refuse_depth(body: bytes, value: object) -> None:
    if body.count(b"[") + body.count(b"{") <= DEEPEST_JSON:
        return
    level: list[object] = [value]
    for _ in range(DEEPEST_JSON):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise bad_request(f"the JSON is nested deeper than {DEEPEST_JSON} levels")
