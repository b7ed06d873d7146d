"""Counts of requests that wait for a decision."""

from cache.policy import Policy
from db import approvals, tags
from loaders.batch import Batch

pending_approvals = Batch(
    approvals.pending_approvals,
    Policy("pending_approvals", int, "aggregate", lambda _: (tags.LEAVE_ANY(), tags.EMPLOYEE_ANY())),
    absent=0,
)
