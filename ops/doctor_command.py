"""`rollcall doctor`: checks the installation and says what to change."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import typer

from ops.doctor import (
    Finding,
    of_certificate,
    of_clock,
    of_database,
    of_machine,
    of_redis,
    of_settings,
    of_status_port,
)
from ops.status_client import StatusPort
from ops.terminal import FAILED, AsJson, NotReachable, console, examples, plain_errors, print_json, run, table
from web.settings import Settings

EXAMPLES: Final = examples("rollcall doctor", "rollcall doctor --json | jq '.findings[] | select(.level == \"error\")'")
COLOURS: Final = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "red"}


def doctor(as_json: AsJson = False) -> None:
    """Check settings, servers, versions, clock, disk, pools and kernel limits; exits 1 when something is an error."""
    with plain_errors():
        given = Settings.from_environment()
    private = given.database.primary_url is None
    findings = list(run(lambda settings: _findings(settings, private=private)))
    failed = any(finding.level == "error" for finding in findings)
    if as_json:
        print_json({"ok": not failed, "findings": [_plain(finding) for finding in findings]})
    else:
        rows = [
            (f"[{COLOURS[finding.level]}]{finding.level}[/]", finding.about, finding.found, finding.change)
            for finding in findings
        ]
        console().print(table("", ("", "", "found", "change"), rows))
    if failed:
        raise typer.Exit(FAILED)


def _plain(finding: Finding) -> dict[str, str]:
    return {"level": finding.level, "about": finding.about, "found": finding.found, "change": finding.change}


async def _findings(settings: Settings, *, private: bool) -> list[Finding]:
    from db.migrate import newest_migration
    from ops.installation import Installation

    looker = Installation(settings)
    try:
        servers = await looker.look()
        differences_s = await looker.clock_differences_s()
    finally:
        await looker.close()
    port = StatusPort(settings)
    running: Mapping[str, Any] | None
    try:
        running = port.get("/cluster/stats")
    except NotReachable:
        running = None

    def everything() -> Iterator[Finding]:
        yield from of_settings(settings, private=private)
        yield from of_certificate(settings.tls, datetime.now(UTC), _served_until(running))
        yield from of_machine(settings)
        yield from of_database(settings, servers["database"], newest_migration())
        yield from of_redis(settings, servers["redis"])
        for name, difference_s in differences_s.items():
            yield of_clock(name, difference_s)
        yield of_status_port(running and running["health"], port.address)

    return list(everything())


def _served_until(running: Mapping[str, Any] | None) -> list[datetime]:
    """When the certificates expire that the workers serve."""
    workers = running["workers"] if running else ()
    ends = [worker["certificate_ends"] for worker in workers if "certificate_ends" in worker]
    return [datetime.fromtimestamp(end, UTC) for end in ends]
