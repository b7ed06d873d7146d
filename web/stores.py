"""The database and the cache as the settings describe them, for the service and for commands beside it."""

from datetime import timedelta
from typing import Final

import msgspec

from cache.second_level import SecondLevelCache
from cache.server import Server
from db.database import Database, PoolLimits
from db.replicas import Replicas
from web.environment import SettingsError
from web.settings import Settings

REPLICA_CONNECT: Final = timedelta(seconds=1)  # the primary waits to be asked instead


def open_database(settings: Settings) -> Database:
    """The pools of the primary and of its replicas."""
    url = settings.database.primary_url
    if url is None:
        raise SettingsError("DATABASE_URL: needed the address of PostgreSQL, got none")
    limits = PoolLimits(settings.database.pool_size, settings.database.pool_wait, settings.database.statement_timeout)
    hasty = msgspec.structs.replace(limits, connect=REPLICA_CONNECT)
    replicas = [Database(replica, hasty) for replica in settings.database.replica_urls]
    waiting = Replicas(replicas, settings.database.replica_wait)
    return Database(url, limits, replicas=waiting, aside_url=settings.database.aside_url)


def open_cache(settings: Settings) -> SecondLevelCache:
    """The second-level cache, or none when it is off or there is no Redis."""
    url = settings.redis.shared_url
    server = None
    if url is not None and settings.cache.enabled:
        server = Server(url, settings.redis.timeout, settings.redis.pool_size, settings.cache.prefix)
    return SecondLevelCache(server, server.prefix if server else settings.cache.prefix, settings.cache.ttl_by_type)
