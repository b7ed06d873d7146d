"""Ranges of dates by name, and the range that one is compared with."""

from datetime import date, timedelta
from enum import StrEnum

import msgspec

ONE_DAY = timedelta(days=1)


class RelativePeriod(StrEnum):
    """A range of dates as seen from today; weeks begin on Monday."""

    TODAY = "TODAY"
    YESTERDAY = "YESTERDAY"
    THIS_WEEK = "THIS_WEEK"
    LAST_WEEK = "LAST_WEEK"
    THIS_MONTH = "THIS_MONTH"
    LAST_MONTH = "LAST_MONTH"
    THIS_QUARTER = "THIS_QUARTER"
    THIS_YEAR = "THIS_YEAR"
    LAST_7_DAYS = "LAST_7_DAYS"
    LAST_30_DAYS = "LAST_30_DAYS"
    LAST_90_DAYS = "LAST_90_DAYS"
    LAST_365_DAYS = "LAST_365_DAYS"


class Dates(msgspec.Struct, frozen=True):
    """The dates from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many dates these are."""
        return (self.last - self.first).days + 1

    def before(self, today: date) -> "Dates":
        """What the range is compared with: as much as has passed of it, right before it.

        From the first of a month it is as many whole months earlier, so March is compared with February.
        """
        last = min(self.last, today) if self.first <= today else self.last
        length = last - self.first
        if self.first.day != 1:
            return Dates(self.first - length - ONE_DAY, self.first - ONE_DAY)
        months = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1
        first = plus_months(self.first, -months)
        whole = last == plus_months(first_of_month(last), 1) - ONE_DAY
        return Dates(first, self.first - ONE_DAY if whole else min(first + length, self.first - ONE_DAY))


def first_of_month(day: date) -> date:
    """The first day of the month of `day`."""
    return day.replace(day=1)


def plus_months(first: date, months: int) -> date:
    """The first of a month `months` later than the first of a month."""
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def months_of(first: date, last: date) -> list[date]:
    """The firsts of the months that the dates from `first` to `last` touch."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [plus_months(first_of_month(first), number) for number in range(count)]


def relative(name: RelativePeriod, today: date) -> Dates:
    """The dates of a named period."""
    monday = today - timedelta(days=today.weekday())
    month = first_of_month(today)
    quarter = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    named = {
        RelativePeriod.TODAY: Dates(today, today),
        RelativePeriod.YESTERDAY: Dates(today - ONE_DAY, today - ONE_DAY),
        RelativePeriod.THIS_WEEK: Dates(monday, monday + timedelta(days=6)),
        RelativePeriod.LAST_WEEK: Dates(monday - timedelta(days=7), monday - ONE_DAY),
        RelativePeriod.THIS_MONTH: _months(month, 1),
        RelativePeriod.LAST_MONTH: _months(plus_months(month, -1), 1),
        RelativePeriod.THIS_QUARTER: _months(quarter, 3),
        RelativePeriod.THIS_YEAR: _months(date(today.year, 1, 1), 12),
    }
    if name in named:
        return named[name]
    return Dates(today - timedelta(days=int(name.split("_")[1]) - 1), today)  # LAST_7_DAYS and its like end today


def _months(first: date, count: int) -> Dates:
    return Dates(first, plus_months(first, count) - ONE_DAY)
