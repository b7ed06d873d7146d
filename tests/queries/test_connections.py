"""Connections that PostgreSQL ended while they were idle in the pool, as its restart does."""

from sqlalchemy import text

from db.connection import Query
from db.database import Database

PID = Query("pid", text("SELECT pg_backend_pid()"))
TERMINATE = Query("terminate", text("SELECT pg_terminate_backend(:pid, 5000)"))  # waits until the backend has ended


async def test_connections_that_ended_while_idle_are_replaced_before_anybody_gets_them(company_url: str) -> None:
    database, operator = Database(company_url), Database(company_url)
    async with database.read() as first, database.read() as second, database.aside() as beside:
        pids = [(await connection.records(PID))[0][0] for connection in (first, second, beside)]
    async with operator.read() as connection:
        assert [await connection.records(TERMINATE, pid=pid) for pid in pids] == [[(True,)]] * 3
        await connection.records(PID)
    async with database.read() as first, database.transaction() as second, database.aside() as beside:
        again = [(await connection.records(PID))[0][0] for connection in (first, second, beside)]
    assert len({*pids, *again}) == 6, "three new ones, and no request failed on the way"
    await database.close()
    await operator.close()
