"""What an operation can use: who asks, lookups, a unit of work, and the present time. One per request."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar, cast
from zoneinfo import ZoneInfo

import strawberry
from msgspec.structs import replace

from cache.second_level import SecondLevelCache
from db.database import Database
from db.rows import EmployeeRow
from domain.attendance.work_days import zone
from domain.errors import Unauthenticated
from domain.ids import EmployeeId
from domain.permission import Viewer
from loaders.batch import Batch, Loaders
from loaders.employees import employee_by_id
from loaders.unit_of_work import UnitOfWork, unit_of_work
from resolvers.consulted import WatchedViewer
from telemetry.clock import utc_now

K = TypeVar("K")
V = TypeVar("V")


class Context:
    """The context of one operation; Strawberry hands it out as `info.context`."""

    def __init__(
        self,
        database: Database,
        cache: SecondLevelCache,
        viewer: Viewer | None,
        *,
        loaders: Loaders | None = None,
        request_id: str = "",
        made_at: datetime | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.database = database
        self.cache = cache
        self.viewer = viewer
        self.watched = None if viewer is None else WatchedViewer(viewer)
        self.request_id = request_id
        self.loaders = loaders or Loaders(database, cache)
        self.valid_until: datetime | None = None
        """Until when the answer stays right as far as time goes; None is for ever."""
        self.touched: set[str] = set()
        """The tags of everything that mutations changed, or would have changed but for their dryRun."""
        self.interval: timedelta | None = None
        """Of a subscription: the least time between two messages."""
        self.made_at = made_at
        """What the answer says about when it was made, None while it says nothing."""
        self._clock = clock

    def require_viewer(self) -> Viewer:
        """Who asks; raises Unauthenticated when nobody is signed in."""
        if self.watched is None:
            raise Unauthenticated("sign in first: POST /auth/token gives a token for the header Authorization: Bearer")
        return cast("Viewer", self.watched)

    def load(self, batch: Batch[K, V], key: K) -> Awaitable[V | None]:
        """The value of one key."""
        return self.loaders.load(batch, key)

    def must(self, batch: Batch[K, V], key: K) -> Awaitable[V]:
        """The value of a key that is known to have one."""
        return self.loaders.must(batch, key)

    def load_many(self, batch: Batch[K, V], keys: Iterable[K]) -> Awaitable[list[V | None]]:
        """The values of many keys, in their order."""
        return self.loaders.load_many(batch, keys)

    def unit_of_work(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """A transaction whose changes are visible everywhere once it has ended."""
        return unit_of_work(self.database, self.cache, self.loaders)

    def now(self) -> datetime:
        """The present time, aware and in UTC; what is made of it is right for this moment only."""
        now = self._clock()
        self._valid(now)
        return now

    def as_of(self) -> datetime:
        """The present time as something to show: when the answer was made, however long it stays right."""
        if self.made_at is None:
            self.made_at = self._clock()
        return self.made_at

    def has_come(self, instant: datetime) -> bool:
        """Whether an instant has come; the answer stays right until it comes."""
        if instant <= self._clock():
            return True
        self._valid(instant)
        return False

    def minute(self) -> datetime:
        """The present minute, under which answers that move with time are cached."""
        minute = self._clock().replace(second=0, microsecond=0)
        self._valid(minute + timedelta(minutes=1))
        return minute

    def utc_today(self) -> date:
        """The present date in UTC."""
        return self._date(zone("UTC"))

    async def today(self) -> date:
        """The viewer's own date: in the zone of their employee record, else in UTC."""
        return self._date(await self.zone())

    def _date(self, zone_info: ZoneInfo) -> date:
        local = self._clock().astimezone(zone_info)
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), zone_info)
        self._valid(midnight.astimezone(UTC))
        return local.date()

    def _valid(self, until: datetime) -> None:
        if self.valid_until is None or until < self.valid_until:
            self.valid_until = until

    async def zone(self) -> ZoneInfo:
        """The viewer's own zone."""
        viewer = self.require_viewer()
        if viewer.employee_id is None:
            return zone("UTC")
        own = await self.must(employee_by_id, viewer.employee_id)
        return zone(own.time_zone)

    async def employee(self, employee_id: EmployeeId) -> EmployeeRow | None:
        """An employee whom the viewer sees by name: one alone is never shown under a pseudonym."""
        row = await self.load(employee_by_id, employee_id)
        return row if row is not None and self.require_viewer().identified.covers(row) else None

    async def employee_of_row(self, employee_id: EmployeeId) -> EmployeeRow | None:
        """The employee of a row that the viewer has come to see, by name or under a pseudonym."""
        row = await self.load(employee_by_id, employee_id)
        return None if row is None else shown(self.require_viewer(), row)

    async def names(self, employee_id: EmployeeId) -> bool:
        """Whether the viewer sees an employee, of whom they see rows, by name."""
        return not self.require_viewer().needs_groups or await self.employee(employee_id) is not None


def shown(viewer: Viewer, row: EmployeeRow) -> EmployeeRow | None:
    """An employee as `viewer` may see one: with name, under a pseudonym, or not at all."""
    if viewer.identified.covers(row):
        return row
    return pseudonymous(row) if viewer.pseudonymous.covers(row) else None


def pseudonymous(row: EmployeeRow) -> EmployeeRow:
    """An employee without what tells who it is; of the dates only the years are left."""
    return replace(
        row,
        full_name=f"Employee {row.id}",
        employee_no=f"pseudonym-{row.id}",
        email=None,
        badge_no=None,
        designation=None,
        hired_on=row.hired_on.replace(month=1, day=1),
        left_on=None if row.left_on is None else row.left_on.replace(month=12, day=31),
    )


Info = strawberry.Info[Context, None]
