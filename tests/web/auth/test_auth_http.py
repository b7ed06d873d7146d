"""The routes: exact answers of the token endpoint, of sign-out, and of the throttle."""

from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from domain.errors import Unauthenticated, Unavailable
from tests.web.auth.conftest import NOW, PASSWORD, Clock, CompanyAccounts, client_from
from web.auth import Authenticator, auth_routes
from web.passwords import Passwords
from web.tokens import Tokens

ADA = {"grant_type": "password", "username": "Ada@Rollcall.test ", "password": PASSWORD}
WRONG = {"error": "invalid_grant", "error_description": "the email address or the password is wrong"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def signed_in(client: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await client.post("/auth/token", data=ADA)
    assert answer.status_code == 200
    content: dict[str, Any] = answer.json()
    return content


@pytest.mark.parametrize("body", [{"data": ADA}, {"json": ADA}])
async def test_a_password_gives_tokens(client: httpx2.AsyncClient, tokens: Tokens, body: dict[str, Any]) -> None:
    answer = await client.post("/auth/token", **body)
    content = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert sorted(content) == ["access_token", "expires_in", "refresh_token", "token_type"]
    assert (content["token_type"], content["expires_in"]) == ("Bearer", 900)
    claims = tokens.verify_access(content["access_token"], NOW)
    assert (claims.user_id, claims.token_epoch) == (7, 3)


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("ada@rollcall.test", "wrong"),
        ("nobody@rollcall.test", PASSWORD),
        ("gone@rollcall.test", PASSWORD),
        ("sso@rollcall.test", PASSWORD),
    ],
)
async def test_all_wrong_sign_ins_look_the_same(client: httpx2.AsyncClient, username: str, password: str) -> None:
    body = {"grant_type": "password", "username": username, "password": password}
    answer = await client.post("/auth/token", data=body)
    assert (answer.status_code, answer.json(), answer.headers["cache-control"]) == (400, WRONG, "no-store")


async def test_a_password_that_everybody_knows_is_refused_when_it_is_right_and_only_then(
    tokens: Tokens, accounts: CompanyAccounts, passwords: Passwords, clock: Clock
) -> None:
    authenticator = Authenticator(tokens, accounts, clock=clock)
    routes = auth_routes(tokens, passwords, accounts, authenticator, known_passwords={PASSWORD}, clock=clock)
    async with client_from(Starlette(routes=routes), "203.0.113.5") as client:
        answer = await client.post("/auth/token", data=ADA)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
        assert answer.json()["error_description"].startswith(
            "everybody knows the password of the demo: it is good only"
        )
        assert (await client.post("/auth/token", data={**ADA, "username": "gone@rollcall.test"})).json() == WRONG


async def test_a_refresh_token_gives_new_tokens_of_the_present_epoch(
    client: httpx2.AsyncClient, tokens: Tokens, clock: Clock
) -> None:
    first = await signed_in(client)
    clock.forward(days=13)
    answer = await client.post(
        "/auth/token", json={"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    )
    assert answer.status_code == 200
    assert tokens.verify_access(answer.json()["access_token"], clock.now).user_id == 7
    clock.forward(days=2)
    late = await client.post(
        "/auth/token", json={"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    )
    description = "the token has expired; refresh it, or sign in again"
    assert (late.status_code, late.json()) == (400, {"error": "invalid_grant", "error_description": description})


@pytest.mark.parametrize(
    ("change", "description"),
    [
        ({"token_epoch": 4}, "the token was revoked; sign in again"),
        ({"is_active": False}, "the user of the token is not active any more"),
    ],
)
async def test_nothing_is_refreshed_for_the_revoked(
    client: httpx2.AsyncClient, accounts: CompanyAccounts, change: dict[str, Any], description: str
) -> None:
    pair = await signed_in(client)
    accounts.change(7, **change)
    body = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    answer = await client.post("/auth/token", data=body)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant", "error_description": description})


FORM, JSON = "application/x-www-form-urlencoded", "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("media_type", "content", "error", "description"),
    [
        (FORM, b"", "invalid_request", "grant_type: needed password or refresh_token, got none"),
        (
            FORM,
            b"grant_type=magic",
            "unsupported_grant_type",
            "grant_type: needed password or refresh_token, got another",
        ),
        (
            FORM,
            b"grant_type=password&username=a",
            "invalid_request",
            "the password grant needs username (the email address) and password",
        ),
        (
            FORM,
            b"grant_type=password&username=a%00b&password=x",
            "invalid_request",
            "username: needed an email address, got something else",
        ),
        (
            FORM,
            b"grant_type=password&password=x&username=" + b"a" * 255,
            "invalid_request",
            "username: needed an email address, got something else",
        ),
        (FORM, b"grant_type=refresh_token", "invalid_request", "the refresh_token grant needs refresh_token"),
        (FORM, b"a=1&a=2", "invalid_request", f"the body is not valid {FORM}: a parameter is given twice"),
        (
            FORM,
            b"&".join([b"a=1"] * 21),
            "invalid_request",
            f"the body is not valid {FORM}: Max number of fields exceeded",
        ),
        (
            JSON,
            b'{"grant_type": 1}',
            "invalid_request",
            "the body is not valid application/json: Expected `str`, got `int` - at `$.grant_type`",
        ),
        (JSON, b"[]", "invalid_request", "the body is not valid application/json: Expected `object`, got `array`"),
        (
            "text/plain",
            b"grant_type=password",
            "invalid_request",
            "Content-Type: needed application/x-www-form-urlencoded or application/json",
        ),
    ],
)
async def test_bad_requests_are_told_what_is_needed(
    client: httpx2.AsyncClient, media_type: str, content: bytes, error: str, description: str
) -> None:
    answer = await client.post("/auth/token", content=content, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()) == (400, {"error": error, "error_description": description})


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        (FORM, b"\xff\xfe"),
        (FORM, b"grant_type=%ff"),
        (JSON, b""),
        (JSON, b'{"password":"\\ud800"}'),
        (JSON, b"\xff"),
        (JSON, b'{"x":' + b"[" * 8000 + b"]" * 8000 + b"}"),
    ],
)
async def test_broken_bodies_are_bad_requests(client: httpx2.AsyncClient, media_type: str, content: bytes) -> None:
    answer = await client.post("/auth/token", content=content, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_body_is_read_up_to_its_limit(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/auth/token", data={**ADA, "padding": "x" * 16_384})
    description = "the request body is too large: at most 16,384 bytes are read"
    assert (answer.status_code, answer.json()) == (
        413,
        {"error": "invalid_request", "error_description": description},
    )


async def test_a_client_that_leaves_is_no_crash(app: Starlette) -> None:
    incoming: list[Message] = [
        {"type": "http.request", "body": b"grant", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/auth/token", "headers": [], "query_string": b""}
    await app(scope, receive, send)
    assert [message.get("status") for message in sent] == [400, None]


async def test_sign_out_ends_all_tokens_of_the_user(client: httpx2.AsyncClient, accounts: CompanyAccounts) -> None:
    phone, desk = await signed_in(client), await signed_in(client)
    answer = await client.post("/auth/logout", headers=bearer(phone["access_token"]))
    assert (answer.status_code, answer.content, accounts.account_by_id[7].token_epoch) == (204, b"", 4)
    for pair in (phone, desk):
        again = await client.post("/auth/logout", headers=bearer(pair["access_token"]))
        assert again.status_code == 401
        assert again.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert again.json() == {"error": "invalid_token", "error_description": "the token was revoked; sign in again"}
    assert accounts.account_by_id[7].token_epoch == 4


async def test_sign_out_needs_a_token(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/auth/logout")
    description = "needed the header 'Authorization: Bearer <access token>', got none"
    assert (answer.status_code, answer.json()["error_description"]) == (401, description)


async def test_the_public_key_is_published(client: httpx2.AsyncClient, tokens: Tokens) -> None:
    answer = await client.get("/auth/jwks.json")
    assert (answer.status_code, answer.json()) == (200, tokens.jwks())
    assert answer.headers["cache-control"] == "public, max-age=3600"


async def test_the_authenticator_finds_the_account(tokens: Tokens, accounts: CompanyAccounts, clock: Clock) -> None:
    authenticator = Authenticator(tokens, accounts, clock=clock)
    token = tokens.issue(7, 3, NOW).access_token
    assert await authenticator.authenticate(None) is None
    assert await authenticator.authenticate(f"bearer  {token} ") == accounts.account_by_id[7]
    accounts.change(7, is_active=False)
    with pytest.raises(Unauthenticated, match=r"^the user of the token is not active any more$"):
        await authenticator.authenticate(f"Bearer {token}")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x"])
async def test_other_headers_are_refused(tokens: Tokens, accounts: CompanyAccounts, clock: Clock, header: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await Authenticator(tokens, accounts, clock=clock).authenticate(header)
    assert caught.value.message == "needed the header 'Authorization: Bearer <access token>', got something else"


async def attempt(client: httpx2.AsyncClient, username: str, password: str) -> int:
    body = {"grant_type": "password", "username": username, "password": password}
    return (await client.post("/auth/token", data=body)).status_code


async def test_five_failures_close_the_door_for_this_client_only(
    client: httpx2.AsyncClient, app: Starlette, clock: Clock
) -> None:
    assert [await attempt(client, "ada@rollcall.test", "wrong") for _ in range(4)] == [400] * 4
    assert await attempt(client, "ada@rollcall.test", PASSWORD) == 200
    assert [await attempt(client, "ADA@rollcall.test", "wrong") for _ in range(2)] == [400, 429]
    clock.forward(seconds=100)
    answer = await client.post("/auth/token", data=ADA)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "200")
    assert answer.json() == {
        "error": "slow_down",
        "error_description": "too many failed attempts; try again in 200 seconds",
    }
    async with client_from(app, "203.0.113.6") as elsewhere:
        assert await attempt(elsewhere, "ada@rollcall.test", PASSWORD) == 200
    clock.forward(seconds=200)
    assert await attempt(client, "ada@rollcall.test", PASSWORD) == 200


async def test_one_client_cannot_try_many_users(app: Starlette) -> None:
    async with client_from(app, "2001:db8::1") as one, client_from(app, "2001:db8::2") as neighbour:
        statuses = [await attempt(one, f"u{number}@rollcall.test", "x") for number in range(50)]
        assert statuses == [400] * 50
        assert await attempt(neighbour, "ada@rollcall.test", PASSWORD) == 429
    async with client_from(app, "2001:db8:0:1::1") as other:
        assert await attempt(other, "ada@rollcall.test", PASSWORD) == 200


class DownAccounts(CompanyAccounts):
    """A database that is not there."""

    async def by_email(self, email: str) -> None:
        raise Unavailable("the database is not reachable", retry_after_s=3)


async def test_an_outage_is_said_and_counts_against_nobody(
    client: httpx2.AsyncClient, accounts: CompanyAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "by_email", DownAccounts().by_email)
    for _ in range(6):
        answer = await client.post("/auth/token", data=ADA)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
        assert answer.json() == {
            "error": "temporarily_unavailable",
            "error_description": "the database is not reachable",
        }
    monkeypatch.undo()
    assert await attempt(client, "ada@rollcall.test", PASSWORD) == 200
