"""Reading what a client sends to the token endpoint: a form or JSON, and the client's own address."""

from ipaddress import IPv6Address, ip_address
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from domain.errors import ClientError
from web.request_errors import RequestError

MOST_BODY_BYTES = 16 * 1024
MOST_PARAMETERS = 20


class OAuthError(ClientError):
    """A refusal of the token endpoint; `error` is a code of RFC 6749."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(message)
        self.error = error


class TokenRequest(msgspec.Struct):
    """The parameters that are used; others are ignored, as RFC 6749 asks."""

    grant_type: str = ""
    username: str = ""
    password: str = ""
    refresh_token: str = ""


async def read_token_request(request: Request) -> TokenRequest:
    """The parameters; raises OAuthError or, for a body that is too large, RequestError."""
    body = await _body(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        match media_type:
            case "application/json":
                return msgspec.json.decode(body, type=TokenRequest)
            case "application/x-www-form-urlencoded":
                return _from_form(body.decode())
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise OAuthError("invalid_request", f"the body is not valid {media_type}: {error}") from error
    raise OAuthError("invalid_request", "Content-Type: needed application/x-www-form-urlencoded or application/json")


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            message = f"the request body is too large: at most {MOST_BODY_BYTES:,} bytes are read"
            raise RequestError("PAYLOAD_TOO_LARGE", message, 413, headers={"Connection": "close"})
    return body


def _from_form(text: str) -> TokenRequest:
    fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_PARAMETERS, errors="strict")
    value_by_name = dict(fields)
    if len(value_by_name) != len(fields):
        raise ValueError("a parameter is given twice")
    return msgspec.convert(value_by_name, TokenRequest)


def client_of(request: Request) -> str:
    """Who counts as one client: an address, or the /64 that an IPv6 subscriber has for himself."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return address.packed[:8].hex()
    return host
