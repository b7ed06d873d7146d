"""The kit itself: it counts exactly, notices an N+1, and starts every test with an empty cache."""

import asyncio

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from db.where import statement
from tests.kit.databases import Databases
from tests.kit.proxy import proxy_to
from tests.kit.rig import Rig
from tests.kit.round_trips import round_trips
from tests.kit.small_company import HR


async def test_an_answer_tells_what_it_cost(rig: Rig) -> None:
    hr = await rig.viewer(HR)
    cold = await rig.execute("{ shifts { code } }", viewer=hr)
    assert cold.data == {"shifts": [{"code": "DAY"}, {"code": "FLEX"}, {"code": "NIGHT"}]}
    assert (cold.sql, len(cold.redis), cold.batches) == (["shifts"], 1, [("shifts", 1, 0)])
    warm = await rig.execute("{ shifts { code } }", viewer=hr)
    assert (warm.data, warm.sql, len(warm.redis), warm.batches) == (cold.data, [], 1, [("shifts", 1, 1)])


async def test_cold_empties_the_cache(rig: Rig) -> None:
    hr = await rig.viewer(HR)
    assert (await rig.warm("{ shifts { code } }", viewer=hr)).sql == []
    await rig.cold()
    assert (await rig.execute("{ shifts { code } }", viewer=hr)).sql == ["shifts"]


async def test_a_wrong_count_prints_every_statement(rig: Rig) -> None:
    hr = await rig.viewer(HR)
    told = r"needed 0 SQL and 1 Redis round trips, got 1 SQL(.|\n)*sql    shifts"
    with pytest.raises(AssertionError, match=told), round_trips(sql=0, redis=1):
        await rig.execute("{ shifts { code } }", viewer=hr)


async def test_a_statement_that_runs_twice_is_noticed(rig: Rig) -> None:
    hr = await rig.viewer(HR)
    answer = await rig.execute("{ shifts { code } }", viewer=hr)
    answer.made.sql.append("shifts")
    with pytest.raises(AssertionError, match=r"an N\+1\?.*\{'shifts': 2\}"):
        answer.check_repeats({})
    answer.check_repeats({"shifts": 2})


async def test_rows_written_through_the_rig_are_seen_at_once(fresh_rig: Rig) -> None:
    hr = await fresh_rig.viewer(HR)
    await fresh_rig.warm("{ shifts { code } }", viewer=hr)
    async with fresh_rig.rows() as rows:
        await rows.rule(await rows.shift("EVE"))
    answer = await fresh_rig.execute("{ shifts { code } }", viewer=hr)
    assert [shift["code"] for shift in answer.data["shifts"]] == ["DAY", "EVE", "FLEX", "NIGHT"]


async def test_an_empty_rig_has_no_company(empty_rig: Rig) -> None:
    async with empty_rig.database.read() as connection:
        assert await connection.records(statement("kit", "SELECT count(*) FROM employee")) == [(0,)]


async def test_the_proxy_stops_before_a_statement_that_was_prepared_long_ago(databases: Databases) -> None:
    url = make_url(await asyncio.to_thread(databases.new))
    async with proxy_to(f"{url.query['host']}/.s.PGSQL.5432") as proxy:
        connection = await asyncpg.connect(host="127.0.0.1", port=proxy.port, user=url.username, database=url.database)
        for _ in range(2):
            assert await connection.fetchval("SELECT 1 + $1::int", 1) == 2
        stop = proxy.stop_before(b"SELECT 1 +")
        asking = asyncio.create_task(connection.fetchval("SELECT 1 + $1::int", 1))
        async with asyncio.timeout(30):
            await stop.reached.wait()
        assert not asking.done()
        stop.go_on()
        assert await asking == 2
        await connection.close()
    await asyncio.to_thread(databases.drop, f"{url}")
