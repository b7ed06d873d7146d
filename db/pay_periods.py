"""Pay periods by id."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import select

from db import tables
from db.connection import Query, ReadConnection
from db.parameters import among
from db.rows import Row, columns_of
from domain.enums import PeriodState
from domain.ids import LocationId

_T = tables.pay_period


class PayPeriodRow(Row, frozen=True, array_like=True):
    """A pay period of a location."""

    id: int
    location_id: LocationId
    start_date: date
    end_date: date
    state: PeriodState


_BY_ID = Query("pay_period_by_id", select(*columns_of(_T, PayPeriodRow)).where(among(_T.c.id, "ids")))


async def pay_periods_by_id(connection: ReadConnection, ids: Sequence[int]) -> dict[int, PayPeriodRow]:
    """Pay periods by id."""
    return {row.id: row for row in await connection.all(_BY_ID, PayPeriodRow, ids=ids)}
