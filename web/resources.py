"""What one process holds while it serves: the pool, the cache, the keys, and the tasks that keep the cache coherent."""

from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import httpx2
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from cache.second_level import SecondLevelCache
from cache.server import CacheUnreachable
from domain.errors import Unavailable
from domain.permission import Viewer
from jobs.upkeep import upkeep_for_ever
from loaders.batch import Loaders
from loaders.drain import drain_for_ever
from loaders.held import held_tags
from loaders.verification import Shadow
from resolvers.context import Context
from telemetry.clock import utc_now
from telemetry.gauges import gauge
from telemetry.ledger import note_viewer
from telemetry.requests import slow
from web.accounts import Account
from web.auth import Authenticator, auth_routes
from web.cached_execution import CachedExecution
from web.execution import Execution, RequestFacts
from web.health import ReadinessCheck
from web.live import Live
from web.oidc import Issuer, OidcIssuers
from web.passwords import Passwords
from web.popular import Popular, record_for_ever
from web.proxies import from_nowhere, from_this_machine
from web.response_cache import ResponseCache
from web.running import running
from web.settings import Settings
from web.shadow_answers import ShadowAnswers
from web.shared_answers import SharedAnswers
from web.signing_key import load_signing_key
from web.statement_recording import statements_recorded
from web.stores import open_cache, open_database
from web.throttle import Throttle
from web.tokens import Tokens
from web.trace_export import traces_exported, wanted
from web.user_accounts import UserAccounts, ViewerAccount
from web.viewers import ViewerBasis, class_of, viewer_with
from web.warming import Warming


class Resources:
    """Built when the application is; connections are opened when they are first needed."""

    def __init__(
        self, settings: Settings, clock: Callable[[], datetime] = utc_now, *, known_passwords: Set[str] = frozenset()
    ) -> None:
        self._clock = clock
        self.database = open_database(settings)
        self.cache = open_cache(settings)
        self.shadow = Shadow(self.database, self.cache, settings.cache.verify_share)
        self._accounts = UserAccounts(self.database, self.cache, self.shadow.consider)
        self._passwords = Passwords()
        self._client = httpx2.AsyncClient()
        self._tokens = open_tokens(settings)
        issuers = [Issuer(issuer.issuer, issuer.audience) for issuer in settings.auth.oidc_issuers]
        oidc = OidcIssuers(issuers, self._client) if issuers else None
        self._authenticator = Authenticator(self._tokens, self._accounts, issuers=oidc, clock=clock)
        self._no_cache = SecondLevelCache(None)
        accounts = UserAccounts(self.database, self.cache, reads_cache=False)
        self._authenticator_past_cache = Authenticator(self._tokens, accounts, issuers=oidc, clock=clock)
        self._responses = ResponseCache(self.cache, settings.cache.response_bytes, clock)
        self.popular = Popular()
        shadow_answers = ShadowAnswers(self.shadow, self._responses, self.database, clock)
        shared = SharedAnswers(self.cache, self._responses, clock)
        self.cached_execution = CachedExecution(
            self._responses, shared, self._authenticator, shadow_answers, self.popular
        )
        self._warming = Warming(self.database, self.cache, self._responses, shared, clock)
        self._most_warmed = settings.cache.warm
        self._throttle = Throttle(window=settings.auth.sign_in_window)
        self._failures = settings.auth.sign_in_attempts
        self._known_passwords = known_passwords
        self._admits_known = from_this_machine if settings.server.loopback else from_nowhere
        self._request_timeout = settings.http.request_timeout
        self._most_subscriptions = settings.limits.subscriptions
        self._most_of_user = settings.limits.user_subscriptions
        self._queries = settings.queries
        self._traced = wanted()
        self._show(settings)

    def _show(self, settings: Settings) -> None:
        """What the status page and the metrics show of this process."""
        server = self.cache.server
        gauge("db_pool_in_use", lambda: self.database.in_use)
        gauge("db_pool_size", lambda: settings.database.pool_size)
        gauge("cache_breaker", lambda: server.breaker.state if server else "off")
        gauge("cache_tags_held", held_tags.number)
        slow.threshold_s = settings.queries.slow_threshold.total_seconds()

    async def background(self, execution: Execution) -> None:
        """Fill the caches with what is asked most, when the settings say so."""
        if self._most_warmed and self.cache.server is not None:
            await self._warming.warm_once(execution, self._most_warmed)

    def live(self, execution: Execution) -> Live:
        """The subscriptions of this process."""
        made = Live(
            execution,
            self.event_context,
            timeout=self._request_timeout,
            most=self._most_subscriptions,
            most_of_user=self._most_of_user,
            knows=self.cached_execution.knows,
            clock=self._clock,
        )
        gauge("subscriptions", lambda: made.open)
        return made

    def routes(self) -> list[BaseRoute]:
        """The routes below /auth."""
        return [
            *auth_routes(
                self._tokens,
                self._passwords,
                self._accounts,
                self._authenticator,
                throttle=self._throttle,
                failures=self._failures,
                known_passwords=self._known_passwords,
                admits_known=self._admits_known,
                clock=self._clock,
            )
        ]

    def readiness(self) -> Mapping[str, ReadinessCheck]:
        """What a worker needs to answer; without Redis it is slower, not unready."""
        return {"database": self.database.ping}

    def helpful(self) -> Mapping[str, ReadinessCheck]:
        """What makes it faster: Redis, unless the cache is off."""
        return {"redis": self._ask_redis} if self.cache.server else {}

    async def _ask_redis(self) -> None:
        assert self.cache.server is not None
        try:
            await self.cache.server.clock_ms()
        except CacheUnreachable as error:
            raise Unavailable("Redis does not answer: answers come from PostgreSQL, slower, until it does") from error

    async def context(self, facts: RequestFacts) -> Context:
        """The context of one operation; raises Unauthenticated when a token is given that is not good."""
        return self._context(facts, await self._account(facts))

    async def event_context(self, facts: RequestFacts) -> tuple[Context, ViewerBasis]:
        """The same for an event of a subscription, with what to look at to notice that the viewer is another one."""
        account = await self._account(facts)
        basis = self._basis(facts, account)  # first: what ends in between must count as yet to end
        return self._context(facts, account), basis

    async def _account(self, facts: RequestFacts) -> Account | None:
        authenticator = self._authenticator_past_cache if facts.past_cache else self._authenticator
        return await authenticator.authenticate(facts.headers.get("authorization"), facts.seen)

    def _basis(self, facts: RequestFacts, account: Account | None) -> ViewerBasis:
        """Of a token that is not ours nothing says when it ends, nor that it still belongs to the user."""
        claims = self._authenticator.own_claims(facts.headers.get("authorization"))
        if claims is None or not isinstance(account, ViewerAccount):
            return ViewerBasis()
        ends = [datetime.fromtimestamp(claims.expires_at_s, UTC), viewer_with(account.facts, self._clock()).valid_until]
        return ViewerBasis(account.loaders.dependencies, min(end for end in ends if end is not None))

    def _context(self, facts: RequestFacts, account: Account | None) -> Context:
        viewer = self._viewer(account) if isinstance(account, ViewerAccount) else None
        note_viewer(class_of(viewer))
        cache = self._no_cache if facts.past_cache else self.cache
        loaders = Loaders(self.database, cache, self.shadow.consider)
        loaders.seen = facts.seen
        return Context(
            self.database, self.cache, viewer, loaders=loaders, request_id=facts.request_id, clock=self._clock
        )

    def _viewer(self, account: ViewerAccount) -> Viewer:
        """What the account's grants of this moment come to.

        Looked up by loaders of its own: the answer's own loaders note what the answer itself rests on.
        """
        facts, loaders, now = account.facts, account.loaders, self._clock()
        found = viewer_with(facts, now)
        return self._responses.know(found.viewer, found.token_epoch, found.valid_until, loaders.dependencies)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Keep the cache coherent and the days settled while the application serves; close everything after it."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.database.close)
            stack.push_async_callback(self.cache.close)
            stack.push_async_callback(self.shadow.close)
            stack.push_async_callback(self._client.aclose)
            stack.callback(self._passwords.close)
            await stack.enter_async_context(traces_exported(self._traced))
            await stack.enter_async_context(statements_recorded(self._queries, self.database))
            await stack.enter_async_context(running(drain_for_ever(self.database, self.cache)))
            await stack.enter_async_context(running(record_for_ever(self.database, self.popular)))
            await stack.enter_async_context(running(upkeep_for_ever(self.database, self.cache)))
            yield


def open_tokens(settings: Settings) -> Tokens:
    """The signer of our tokens."""
    auth = settings.auth
    secret = auth.private_key.get_secret_value() if auth.private_key else None
    return Tokens(
        load_signing_key(secret, auth.private_key_file),
        issuer=auth.issuer,
        audience=auth.audience,
        access_ttl=auth.access_ttl,
        refresh_ttl=auth.refresh_ttl,
    )
