"""Lookups of pay periods."""

from cache.policy import Policy
from db import pay_periods, tags
from db.pay_periods import PayPeriodRow
from loaders.batch import Batch

pay_period_by_id = Batch(
    pay_periods.pay_periods_by_id,
    Policy("pay_period", PayPeriodRow, "organisation", lambda _: (tags.PAY_PERIOD_ANY(),)),
)
