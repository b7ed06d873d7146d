"""One process's share of the employees: drawn, derived and written a few at a time, here or in a process aside.

A process aside (`python -m ops.demo.share`) gets its share as JSON on standard input, tells each step as a line on
standard output, and ends when nobody reads that any more.
"""

import asyncio
import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from db.database import Database, PoolLimits
from db.days import DAY_COLUMNS, day_tuple
from db.demo import punch_numbers, relax
from domain.errors import RollcallError
from domain.ids import EmployeeId
from ops.demo.company import Blueprint, company_facts, derived_days, member
from ops.demo.rows import member_rows

CHECKOUT: Final = Path(__file__).parents[2]
DAYS_AT_ONCE: Final = 4_000
"""Employee-days in one transaction: a few megabytes of rows."""
GARBAGE_THRESHOLD: Final = 200_000  # rows hold no cycles; the default looks through all of them every 700 objects


class Share(msgspec.Struct, frozen=True):
    """Every `parts`-th chunk of the employees, beginning with chunk `index`."""

    plan: Blueprint
    now: datetime
    not_yet_in: frozenset[EmployeeId]
    index: int = 0
    parts: int = 1

    def part(self, index: int, parts: int) -> "Share":
        """The part `index` of `parts`."""
        return msgspec.structs.replace(self, index=index, parts=parts)

    def chunks(self) -> Iterator[range]:
        """The numbers of the employees, in runs for one transaction each."""
        days = (self.plan.last - self.plan.first).days + 1
        length = max(1, DAYS_AT_ONCE // days)
        starts = range(1, self.plan.employees + 1, length)
        for start in starts[self.index :: self.parts]:
            yield range(start, min(start + length, self.plan.employees + 1))


class Order(msgspec.Struct, frozen=True):
    """What a process aside is sent."""

    database_url: str
    share: Share


class ShareFailed(RollcallError):
    """A process that wrote a share ended before it was done."""


async def write_share(database: Database, share: Share, advanced: Callable[[int], None]) -> None:
    """Write a share; `advanced` is told how many employees each step wrote."""
    company, organisation = company_facts(share.plan), share.plan.organisation()
    for numbers in share.chunks():
        members = []
        for number in numbers:
            someone = share.plan.person(organisation, number)
            zone = ZoneInfo(someone.own_time_zone or someone.place.time_zone)
            absent_on = share.now.astimezone(zone).date() if number in share.not_yet_in else None
            members.append(member(share.plan, company, someone, share.now, absent_on))
        async with database.transaction() as connection:
            await relax(connection)
            new = await punch_numbers(connection, sum(len(one.punches) for one in members))
            for table, columns, rows in member_rows(members, new):
                await connection.copy(table, columns, rows)
            days = (
                day_tuple(one.facts.id, day)
                for one in members
                for day in derived_days(one, company, share.plan.first, share.now)
            )
            await connection.copy("attendance_day", DAY_COLUMNS, days)
        advanced(len(members))


async def run_aside(database_url: str, share: Share, advanced: Callable[[int], None]) -> None:
    """Write a share in a process of its own."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, cwd=CHECKOUT, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        process.stdin.write(msgspec.json.encode(Order(database_url, share)))
        process.stdin.close()
        async for line in process.stdout:
            advanced(int(line))
        said = (await process.stderr.read()).decode().strip()
        if await process.wait():
            reason = said.splitlines()[-1] if said else f"exit status {process.returncode}"
            raise ShareFailed(f"filling in the demo company failed: {reason}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _carry_out(order: Order) -> None:
    database = Database(order.database_url, PoolLimits(size=1), application="rollcall demo")
    try:
        await write_share(database, order.share, lambda employees: print(employees, flush=True))  # noqa: T201
    finally:
        await database.close()


def main() -> None:
    """Carry out the order on standard input."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        asyncio.run(_carry_out(order))
    except BrokenPipeError:  # whoever ordered this is gone
        os._exit(1)
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")


if __name__ == "__main__":
    main()
