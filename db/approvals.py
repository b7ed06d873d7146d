"""Requests that wait for a decision, counted."""

from collections.abc import Sequence

from db.connection import ReadConnection
from db.where import Where, statement, within_reach
from domain.permission import Reach


async def pending_approvals(connection: ReadConnection, reaches: Sequence[Reach]) -> dict[Reach, int]:
    """How many leave requests of the employees of each reach are pending."""
    found = {}
    for reach in reaches:
        where = Where()
        within_reach(where, reach)
        query = statement(
            "pending_approvals",
            "SELECT count(*) FROM leave_request q JOIN employee e ON e.id = q.employee_id"
            f" WHERE q.status = 'PENDING' AND {where.sql}",
        )
        [(found[reach],)] = await connection.records(query, **where.parameters)
    return found
