"""What was read and written, by whom and when, and the exact check of it.

Rows carry a version that every write increases by one. A read may not return less than what was acknowledged, or seen
by anybody, before it began; nor more than what had been begun when it ended. A version that was written from outside
counts only when the fence's life is over. Times are CLOCK_MONOTONIC in ns, which the processes of a machine share.
"""

import os
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

OUTSIDE_NS: Final = 2_100_000_000  # the fence's life, and what the journal takes


class Read(NamedTuple):
    """A version that somebody was told."""

    row: int
    version: int
    begun_ns: int
    ended_ns: int
    kind: str


class Write(NamedTuple):
    """A version that was acknowledged to who wrote it."""

    row: int
    version: int
    ended_ns: int


class Journal:
    """Appends events to a file at once, so that a killed process leaves what it had done."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def read(self, kind: str, versions: Iterable[tuple[int, int]], begun_ns: int, ended_ns: int) -> None:
        """All rows of one read are one line."""
        told = " ".join(f"{row}:{version}" for row, version in versions)
        self._line(f"R {kind} {begun_ns} {ended_ns} {told}")

    def begin(self, row: int, begun_ns: int) -> None:
        """Before a write is sent."""
        self._line(f"B - {begun_ns} 0 {row}:0")

    def outside(self, row: int, version: int) -> None:
        """Before a write from outside is committed; its version may come to be written by somebody else instead."""
        self._line(f"O - 0 0 {row}:{version}")

    def acknowledged(self, row: int, version: int, ended_ns: int) -> None:
        """After a write was committed."""
        self._line(f"A - 0 {ended_ns} {row}:{version}")

    def _line(self, text: str) -> None:
        os.write(self._file, text.encode() + b"\n")


class History:
    """The events of all journals."""

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self.begun: defaultdict[int, list[int]] = defaultdict(list)
        self.outside: set[tuple[int, int]] = set()
        self.acknowledged: list[Write] = []

    def add(self, lines: Iterable[str]) -> None:
        """A journal; the last line of a killed process may be broken off."""
        for line in lines:
            if not line.endswith("\n"):
                continue
            what, kind, begun, ended, *told = line.split()
            for pair in told:
                row, version = map(int, pair.split(":"))
                if what == "R":
                    self.reads.append(Read(row, version, int(begun), int(ended), kind))
                elif what == "B":
                    self.begun[row].append(int(begun))
                elif what == "O":
                    self.outside.add((row, version))
                else:
                    self.acknowledged.append(Write(row, version, int(ended)))

    def violations(self) -> Iterator[str]:
        """What must not be: read too old, going back, or read before it was begun."""
        floors = self._floors()
        for begun in self.begun.values():
            begun.sort()
        for read in self.reads:
            times, versions = floors.get(read.row, ([], []))
            place = bisect_right(times, read.begun_ns)
            floor = versions[place - 1] if place else 1
            if read.version < floor:
                late_ms = (read.begun_ns - times[bisect_right(versions, read.version)]) / 1e6
                yield f"{read.kind} of row {read.row} told {read.version}, {floor} was known ({late_ms:.1f} ms stale)"
            if read.version > 1 + bisect_right(self.begun[read.row], read.ended_ns):
                yield f"{read.kind} of row {read.row} told {read.version} before that was written"

    def _floors(self) -> dict[int, tuple[list[int], list[int]]]:
        """Of each row: from which times on which versions are known, both rising."""
        known = defaultdict(list)
        events: list[Read | Write] = [*self.reads, *self.acknowledged]
        for event in events:
            grace_ns = OUTSIDE_NS if (event.row, event.version) in self.outside else 0
            known[event.row].append((event.ended_ns + grace_ns, event.version))
        found = {}
        for row, of_row in known.items():
            times: list[int] = []
            versions: list[int] = []
            for time, version in sorted(of_row):
                if not versions or version > versions[-1]:
                    times.append(time)
                    versions.append(version)
            found[row] = times, versions
        return found
