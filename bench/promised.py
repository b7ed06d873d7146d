"""The promises as lines: what was to be reached, what was found, and how to read it."""

from collections.abc import Iterator
from typing import Final

from bench.mix import AT_ONCE
from bench.pairs import Compared
from bench.promises import Promises

HEADINGS: Final = ("promise", "of", "found", "least to greatest", "at most or at least", "kept")


def promised(found: Promises) -> Iterator[tuple[str, ...]]:
    """A line for each."""
    yield from _at_most("a kept answer / the same bytes from memory, CPU", found.hits, 1.5)
    yield from _at_most("filling / answering without cache, CPU", found.fills, 1.15)
    yield from _at_most("a mutation / the same without cache, CPU", found.mutations, 1.3)
    check, keys, rows = found.stamp_check_us, found.keys_from_cache, found.keys_from_rows
    yield "look at the stamps, CPU us", f"{AT_ONCE} at once", f"{check:g}", "", "15", _kept(check <= 15)
    yield "loader keys not asked of PostgreSQL", "mix", f"{keys:.1%}", "", "95 %", _kept(keys >= 0.95)
    yield "loader keys from Redis, no answers kept", "mix", f"{rows:.1%}", "", "95 %", _kept(rows >= 0.95)
    statements, mixed = found.statements_of_reads, found.mixed
    yield "SQL of reads / without cache", "mix", f"{statements:.1%}", "", "5 %", _kept(statements <= 0.05)
    with_writes = (mixed.default.read_statements + mixed.default.write_statements) / (
        mixed.off.read_statements + mixed.off.write_statements
    )
    yield "the same with the SQL of writes", "mix", f"{with_writes:.1%}", "", "", ""


def explained() -> list[str]:
    """How to read the lines."""
    return [
        "CPU: of our workers, one on each side, asked in turns within one run; what they use when idle is taken off.",
        "From memory: our supervisor, hypercorn, uvloop, and an application that sends the same headers and body "
        "in the two messages of ASGI.",
        "Kept answers: 32 connections. Filling: everything forgotten before each request, one connection.",
        "Without cache: CACHE=off on a copy of the database. Mutations: saveEmployee, and markAttendance of one day.",
        "Mix: 95 % reads (an employee, their days, now and then `today`), Zipf over 500 employees, 5 % of those two "
        "mutations; counted in one process after as many requests as warm-up. A kept answer asks loaders for nothing.",
        "Mutations ask PostgreSQL as much with a cache as without: the line with their SQL has no target.",
    ]


def _at_most(promise: str, found: dict[str, Compared], most: float) -> Iterator[tuple[str, ...]]:
    for name, one in found.items():
        span = f"{one.least:g} to {one.greatest:g}"
        yield promise, name, f"{one.ratio:g}", span, f"{most:g}", _kept(one.ratio <= most)


def _kept(is_kept: bool) -> str:
    return "yes" if is_kept else "no"
