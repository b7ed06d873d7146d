"""The work of `rollcall cache verify`: all that is stored and would be served is compared with PostgreSQL."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import msgspec

from cache.entries import Entries, Entry
from cache.second_level import SecondLevelCache
from db.connection import ReadConnection
from db.database import Database
from domain.errors import Unavailable
from loaders.batch import Batch, Loaders
from loaders.catalogue import batch_of, key_of
from loaders.verification import Served, served, verdict_on, verified
from ops.cache_answers import ANSWERS, answer_of, kind_of
from ops.cache_entries import opened
from resolvers.consulted import viewer_with
from resolvers.context import Context
from telemetry.clock import utc_now
from web.answer_entries import NAMESPACE, SharedAnswer, unpacked
from web.execution import Execution, PreparedOperation
from web.graphql_request import GraphQLRequest
from web.http_settings import LimitSettings
from web.negotiation import GRAPHQL_RESPONSE, JSON
from web.settings import Settings
from web.shadow_answers import made_again
from web.stores import open_database

MOST_SHOWN: Final = 50
OLD: Final = "of another version"
UNUSABLE: Final = "unusable"


async def verified_all(settings: Settings, most: int, *, dry_run: bool) -> Mapping[str, Any]:
    """The verdicts on the first `most` entries; unless it is a dry run, what differs is made unusable."""
    async with opened(settings) as cache:
        database = open_database(settings)
        try:
            return await _Verification(database, cache, settings.limits, dry_run=dry_run).of_all(most)
        finally:
            await database.close()


class _Verification:
    """Compares entries one after the other."""

    def __init__(self, database: Database, cache: SecondLevelCache, limits: LimitSettings, *, dry_run: bool) -> None:
        self._database = database
        self._cache = cache
        self._limits = limits
        self._dry_run = dry_run
        self._entries = Entries(cache)

    async def of_all(self, most: int) -> Mapping[str, Any]:
        verdicts: Counter[str] = Counter()
        by_loader: defaultdict[str, int] = defaultdict(int)
        stale: list[str] = []
        async for names in self._entries.names(most):
            for name in names:
                compared, verdict = await self._verdict(name)
                by_loader[compared] += 1
                verdicts[verdict] += 1
                if verdict == "different":
                    stale.append(name)
        by_loader.pop("", None)
        return {
            "entries": verdicts.total(),
            "verdicts": dict(sorted(verdicts.items())),
            "loaders": dict(sorted(by_loader.items())),
            "stale": stale[:MOST_SHOWN],
            "dry_run": self._dry_run,
        }

    async def _verdict(self, name: str) -> tuple[str, str]:
        """Which lookup an entry is of, "" when it was not looked at, and what came of it."""
        batch, kind = batch_of(name), kind_of(name)
        if batch is None and kind != ANSWERS:
            return "", kind or OLD
        try:
            entry = await self._entries.entry(name)
            if entry is None:
                return "", UNUSABLE
            if batch is not None:
                return batch.policy.namespace, await self._of_lookup(batch, key_of(batch, entry.key))
            return ANSWERS, await self._of_answer(name, entry)
        except ValueError:
            return "", UNUSABLE

    async def _of_lookup(self, batch: Batch[Any, Any], key: Any) -> str:
        reading = await self._cache.read(batch.policy, [key])
        if reading.ticket is None or key not in reading.hits:
            return UNUSABLE
        return await self._compared(batch.policy.namespace, served(batch, key, reading.hits[key], reading.ticket))

    async def _of_answer(self, name: str, entry: Entry) -> str:
        found = answer_of(entry)
        stamps = dict(zip(found.tags, entry.stamps, strict=True))
        if not _is_right_now(found) or not await self._cache.unchanged(entry.fence, stamps):
            return UNUSABLE
        operation, names, values = msgspec.msgpack.decode(entry.key)
        asked = self._asked(found.request, operation)
        if asked is None:
            return "failed"
        prepared, media_type = asked
        body, viewer = unpacked(found), viewer_with(dict(zip(names, values, strict=True)))

        async def again(connection: ReadConnection) -> object:
            loaders = Loaders(self._database, self._cache)
            loaders.inside(connection)
            context = Context(self._database, self._cache, viewer, loaders=loaders, made_at=found.made_at)
            made = await made_again(self._execution, prepared, context, media_type)
            return made if _is_right_now(found) else body

        try:
            return await self._compared(NAMESPACE, Served(name, body, entry.fence, stamps, again))
        except Unavailable:
            return "failed"

    async def _compared(self, kind: str, sample: Served) -> str:
        if self._dry_run:
            return await verdict_on(self._database, self._cache, sample)
        return await verified(self._database, self._cache, kind, sample)

    def _asked(self, request: GraphQLRequest, operation: bytes) -> tuple[PreparedOperation, str] | None:
        """The operation of an answer with the form that it has; None when the entry names another request."""
        for media_type in (GRAPHQL_RESPONSE, JSON):
            prepared = self._execution.prepare(request, media_type)
            if isinstance(prepared, PreparedOperation) and prepared.key == operation:
                return prepared, media_type
        return None

    @cached_property
    def _execution(self) -> Execution:
        from schema.root import api  # takes a second

        return Execution(api, self._limits)


def _is_right_now(found: SharedAnswer) -> bool:
    """Whether an answer is right as far as time goes."""
    return found.valid_until is None or utc_now() < found.valid_until
