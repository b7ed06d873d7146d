"""A primary with a streaming replica that it does not wait for; both write down every statement."""

import signal
from itertools import count
from pathlib import Path

from db.database import Database, PoolLimits
from db.migrate import upgrade
from db.replicas import Replicas
from tests.coherence.worker import fill
from tests.deploy.engines import PostgreSQL, Program, until

LIMITS = PoolLimits(size=4)


class Pair:
    """The two servers; `heal` puts right what a test did to them."""

    def __init__(self, folder: Path) -> None:
        self.postgres = PostgreSQL(folder)
        self._numbers = count(1)
        self._read_up_to: dict[Path, int] = {}

    async def start(self) -> None:
        """Bring both up, with a database to copy."""
        await self.postgres.start(synchronous=False)
        for port in (self.postgres.primary.port, self.postgres.replica.port):
            await until(lambda at=port: self._answers(at), "both servers answer")  # type: ignore[misc]
            await self.ask(port, "SELECT 1")
        await self.ask(self.primary.port, "ALTER SYSTEM SET log_statement = 'all'")
        await self.ask(self.primary.port, "SELECT pg_reload_conf()")
        await self.set_on_replica("log_statement", "all")
        await self.ask(self.primary.port, 'CREATE DATABASE "full" OWNER app')
        url = self.url_of(self.primary, "full")
        await upgrade(url)
        await fill(url)

    @property
    def primary(self) -> Program:
        return self.postgres.primary

    @property
    def replica(self) -> Program:
        return self.postgres.replica

    async def new_database(self) -> str:
        """The name of a copy with twenty employees, which the replica has too."""
        name = f"test_{next(self._numbers)}"
        await self.ask(self.primary.port, f'CREATE DATABASE "{name}" TEMPLATE "full" OWNER app')
        await self.caught_up()
        return name

    def url_of(self, server: Program, name: str) -> str:
        """The address of a database on one of the servers."""
        return f"postgresql+asyncpg://app@127.0.0.1:{server.port}/{name}"

    def database(self, name: str, through: int | None = None, limits: PoolLimits = LIMITS) -> Database:
        """A pool for the primary, or for a proxy before it at the port `through`, and one for the replica."""
        primary = self.url_of(self.primary, name)
        url = primary if through is None else primary.replace(f":{self.primary.port}/", f":{through}/")
        return Database(url, limits, replicas=Replicas([Database(self.url_of(self.replica, name), limits)]))

    def statements(self, server: Program, text: str) -> int:
        """How many statements with `text` a server was asked for since it was last looked at."""
        content = server.log.read_text()
        new = content[self._read_up_to.get(server.log, 0) :]
        self._read_up_to[server.log] = len(content)
        return sum(text in line for line in new.split("LOG:  execute ")[1:])

    async def pause(self) -> None:
        """Let the replica replay nothing from now on."""
        await self.ask(self.replica.port, "SELECT pg_wal_replay_pause()")
        await until(lambda: self._says("SELECT pg_get_wal_replay_pause_state() = 'paused'"), "the replay stops")

    async def resume(self) -> None:
        """Let it go on."""
        await self.ask(self.replica.port, "SELECT pg_wal_replay_resume()")

    async def caught_up(self) -> None:
        """Wait until the replica has everything."""
        [(lsn,)] = await self.ask(self.primary.port, "SELECT pg_current_wal_insert_lsn()::text")
        await self.ask(self.primary.port, "CHECKPOINT")  # what is inserted is flushed, and so sent
        await until(lambda: self._says(f"SELECT pg_last_wal_replay_lsn() >= '{lsn}'"), "the replica has everything")

    async def received(self) -> None:
        """Wait until the replica has got everything, whether or not it has replayed it."""
        [(lsn,)] = await self.ask(self.primary.port, "SELECT pg_current_wal_flush_lsn()::text")
        await until(
            lambda: self._says(f"SELECT pg_last_wal_receive_lsn() >= '{lsn}'"), "the replica has got everything"
        )

    async def kill(self, server: Program) -> None:
        """Lose a server as one loses a machine."""
        await server.end(signal.SIGKILL if server is self.replica else signal.SIGQUIT)

    async def start_again(self, server: Program) -> None:
        """Bring one of them back, if it is not there."""
        if server.process is None or server.process.poll() is not None:
            server.start()
        await until(lambda: self._answers(server.port), "the server answers")

    async def heal(self) -> None:
        """Both run, and the replica follows."""
        for server in (self.primary, self.replica):
            await self.start_again(server)
        await self.resume()
        await self.set_on_replica("recovery_min_apply_delay", "0")
        await self.set_on_primary("synchronous_standby_names", "")
        await self.set_on_primary("wal_writer_delay", "200ms")
        await until(lambda: self._says("SELECT EXISTS (SELECT FROM pg_stat_wal_receiver)"), "the replica follows")

    async def set_on_primary(self, name: str, value: str) -> None:
        await self.ask(self.primary.port, f"ALTER SYSTEM SET {name} = '{value}'")
        await self.ask(self.primary.port, "SELECT pg_reload_conf()")

    async def set_on_replica(self, name: str, value: str) -> None:
        await self.ask(self.replica.port, f"ALTER SYSTEM SET {name} = '{value}'")
        await self.ask(self.replica.port, "SELECT pg_reload_conf()")

    async def ask(self, port: int, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await self.postgres.ask(port, sql)]

    async def _answers(self, port: int) -> bool:
        return bool(await self.ask(port, "SELECT 1"))

    async def _says(self, sql: str) -> bool:
        [(found,)] = await self.ask(self.replica.port, sql)
        return bool(found)
