"""The supervisor: keeps the wanted processes alive, replaces them without losing a request, and stops them in order.

It owns the listening socket and nothing else: no database, no Redis, no application code, so that nothing can bring it
down. SIGHUP: rolling reload. SIGTTIN, SIGTTOU: one worker more, one fewer. SIGTERM, SIGINT: drain and stop; a second
one stops at once.
"""

import asyncio
import json
import signal
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from cluster.child import EXIT_CANNOT_START, Command
from cluster.chronicle import Chronicle
from cluster.journal import journal
from cluster.listener import listen
from cluster.process import Child, Role, reason_of_death
from cluster.restarts import RestartBudget
from cluster.systemd import notify
from cluster.terminal import Terminal
from web.settings import MOST_WORKERS, ClusterSettings, Settings, usable_cores

Prepare = Callable[[], Awaitable[Mapping[str, str]]]
_PULSE_S: Final = 1.0
_SHORTEST_SILENCE: Final = timedelta(seconds=2)
"""A living process is heard once a second: less is no silence."""


class Supervisor:
    """Runs the first role as many times as there are workers, and every other role once.

    `prepare` runs at the start, while the processes import their code, and again before a reload; it returns the
    environment variables that they still need, and is cancelled when the service is to stop meanwhile. What it raises
    at the start comes out of `run`. `on_ready` is called once, when the first worker serves.
    """

    def __init__(
        self,
        listener: socket.socket,
        roles: Sequence[Role],
        settings: ClusterSettings,
        prepare: Prepare,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._listener = listener
        self._worker = roles[0]
        self._roles = roles
        self._settings = settings
        self._prepare = prepare
        self._on_ready = on_ready
        self._wanted_workers = settings.workers
        self._children: list[Child] = []
        self._environment: Mapping[str, str] | None = None
        self._budgets = self._full_budgets()
        self._restarts = 0
        self._chronicle = Chronicle()
        self._restarts_granted: Counter[str] = Counter()
        self._terminal = Terminal()
        self._exit_code = 0
        self._serving = asyncio.Event()
        self._stopping = asyncio.Event()
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Serve until told to stop or until no worker lives; returns the exit code."""
        self._handle_signals()
        try:
            await self._unless_stopping(self._start())
            await self._stopping.wait()
        finally:
            await self._stop()
        return self._exit_code

    def _full_budgets(self) -> dict[str, RestartBudget]:
        limits = self._settings
        return {
            role.name: RestartBudget(limits.max_restarts, limits.restart_window, limits.restart_delay)
            for role in self._roles
        }

    def snapshot(self) -> dict[str, Any]:
        """What there is to know about the cluster now: every process with its last report."""
        return {
            "clustered": True,
            "workers": self._wanted_workers,
            "restarts": self._restarts,
            "stopping": self._stopping.is_set(),
            **self._chronicle.snapshot(self._children),
        }

    # ------------------------------------------------------------------------------------------------ start and stop

    async def _start(self) -> None:
        # one processor is left to the preparation; the rest of the workers come once the first serves
        for slot in range(1, min(self._wanted_workers, max(1, usable_cores() - 1)) + 1):
            await self._begin(self._worker, slot)
        self._environment = await self._prepare()
        listen(self._listener)
        for child in self._children:
            child.configure(self._environment)
        self._spawn(self._watch_pulse())
        await self._serving.wait()
        self._on_ready()
        notify("READY=1")
        await self._fill()

    async def _stop(self) -> None:
        self._stopping.set()
        notify("STOPPING=1")
        for group in ([self._worker], self._roles[1:]):
            while members := [child for child in self._children if child.role in group and child.lives]:
                await asyncio.gather(*(child.leave(Command.STOP, self._settings.drain_limit) for child in members))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hung_up_or_asked_to_reload)
        loop.add_signal_handler(signal.SIGTTIN, lambda: self._spawn(self.scale(self._wanted_workers + 1)))
        loop.add_signal_handler(signal.SIGTTOU, lambda: self._spawn(self.scale(self._wanted_workers - 1)))
        for asked in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(asked, self._asked_to_stop)

    def _hung_up_or_asked_to_reload(self) -> None:
        if self._terminal.was_closed():
            self._asked_to_stop()
        else:
            self._spawn(self.reload())

    def _asked_to_stop(self) -> None:
        if self._stopping.is_set():
            journal.warning("asked to stop again: stopping at once")
            for child in self._children:
                child.kill()
        self._stopping.set()

    def _give_up(self, why: str) -> None:
        journal.error("giving up: %s", why)
        self._exit_code = 1
        self._stopping.set()

    # ----------------------------------------------------------------------------------------- one process, its life

    async def _begin(self, role: Role, slot: int, *, on_trial: bool = False) -> Child:
        child = Child(role, slot, on_trial=on_trial)
        child.on_order = self._ordered if role.watches else None
        await child.start()
        self._children.append(child)
        if self._stopping.is_set():
            child.kill()
        elif self._environment is not None:
            child.configure(self._environment)
        self._spawn(self._attend(child))
        return child

    async def _attend(self, child: Child) -> None:
        if await child.ready:
            journal.info("%s is ready (process %d)", child.name, child.pid)
            if child.role is self._worker:
                self._serving.set()
        code = await child.wait()
        self._children.remove(child)
        expected = child.expected_to_go or self._stopping.is_set()
        self._chronicle.died(child, code, expected=expected)
        if expected and not child.became_ready:
            return
        if expected:
            journal.info("%s has left (process %d, %s)", child.name, child.pid, reason_of_death(code))
        elif child.became_ready or not child.on_trial:
            await self._replace(child, code)

    async def _replace(self, child: Child, code: int) -> None:
        reason = f"{child.name} {reason_of_death(code)}" + ("" if child.became_ready else " before it was ready")
        if code == EXIT_CANNOT_START and not self._serving.is_set():
            self._give_up(f"{reason}, and would again")
            return
        budget = self._budgets[child.role.name]
        wait = budget.wait_after_death(time.monotonic(), was_ready=child.became_ready)
        if wait is not None:
            journal.warning("%s; replaced in %g s", reason, wait.total_seconds())
            self._restarts_granted[child.role.name] += 1
            await asyncio.sleep(wait.total_seconds())
            self._restarts_granted[child.role.name] -= 1
        else:
            limit = f"limit of {budget.limit} replacements in {budget.window.total_seconds():g} s is reached"
            living = [other for other in self._children if other.role is self._worker]
            if child.role is self._worker and not living and not self._restarts_granted[child.role.name]:
                self._give_up(f"{reason}, the {limit} and no worker is left")
                return
            wait = budget.wait_until_allowed(time.monotonic())
            journal.error(
                "%s; the %s: %d others serve, next try in %g s", reason, limit, len(living), wait.total_seconds()
            )
            await asyncio.sleep(wait.total_seconds())
        await self._begin_again(child)

    async def _begin_again(self, child: Child) -> None:
        """Start a successor of a dead process; where the machine has no room for one, try until it has."""
        while self._is_open(child.role, child.slot):
            try:
                await self._begin(child.role, child.slot)
            except OSError as error:
                wait = max(self._settings.restart_delay, _SHORTEST_SILENCE)
                journal.error("%s: no process: %s; next try in %g s", child.name, error, wait.total_seconds())
                await asyncio.sleep(wait.total_seconds())
            else:
                self._restarts += 1

    def _is_open(self, role: Role, slot: int) -> bool:
        wanted = role is not self._worker or slot <= self._wanted_workers
        filled = any(c.role is role and c.slot == slot and not c.expected_to_go for c in self._children)
        return wanted and not filled and not self._stopping.is_set()

    async def _fill(self) -> None:
        """Start what is wanted and not there."""
        for role in self._roles:
            for slot in range(1, (self._wanted_workers if role is self._worker else 1) + 1):
                if self._is_open(role, slot):
                    await self._begin(role, slot)

    async def _renew(self, child: Child) -> bool:
        """Put a new process in the place of a living one; False when it is never ready, and then the old one stays."""
        successor = await self._begin(child.role, child.slot, on_trial=True)
        if not await successor.ready:
            return False
        self._spawn(child.leave(Command.LEAVE, self._settings.drain_limit))
        return True

    # ------------------------------------------------------------------------------------------ what operators ask for

    async def reload(self) -> str:
        """Replace every process by one with today's code and settings; at the first failure the old ones stay.

        Returns what failed, or nothing.
        """
        async with self._changing:
            if not self._serving.is_set():
                journal.warning("not reloaded: the service is still starting")
                return "the service is still starting"
            notify("RELOADING=1")
            try:
                failure = await self._renew_all()
            except Exception as error:
                failure = str(error) or type(error).__name__
                journal.error("reload: %s", failure)
            self._budgets = self._full_budgets()
            await self._fill()
            notify("READY=1")
        journal.log(40 if failure else 20, "reload aborted: the processes that serve stay" if failure else "reloaded")
        return failure

    async def _renew_all(self) -> str:
        settings = Settings.from_environment().cluster
        wanted = self._wanted_workers if settings.workers == self._settings.workers else settings.workers
        self._environment = await self._prepare()
        # whoever passed the order on comes last, so that it can still tell how it went
        for child in sorted((child for child in self._children if child.serves), key=lambda child: child.role.watches):
            if child.serves and not self._is_surplus(child, wanted) and not await self._renew(child):
                return f"the new {child.name} was never ready; the service's log says why"
        self._settings, self._wanted_workers = settings, wanted
        self._dismiss()
        return ""

    def _is_surplus(self, child: Child, wanted: int) -> bool:
        return child.role is self._worker and child.slot > wanted

    def _dismiss(self) -> None:
        """Let workers go that are not wanted any more."""
        for child in self._children:
            if self._is_surplus(child, self._wanted_workers) and not child.expected_to_go:
                self._spawn(child.leave(Command.LEAVE, self._settings.drain_limit))

    async def scale(self, workers: int) -> str:
        """Serve with so many workers from now on, at least one; returns why there is no room for them, or nothing."""
        async with self._changing:
            self._wanted_workers = min(max(1, workers), MOST_WORKERS)
            self._dismiss()
            try:
                await self._fill()
            except OSError as error:
                journal.error("scaling: no process: %s", error)
                return f"no process: {error}"
            journal.info("scaled to %d workers", self._wanted_workers)
            return ""

    def _ordered(self, order: Mapping[str, Any]) -> None:
        """An order from the status port, which has checked who gives it."""
        match order:
            case {"id": str(number), "do": "reload"}:
                self._spawn(self._answer(number, self.reload()))
            case {"id": str(number), "do": "scale", "workers": int(workers)}:
                self._spawn(self._answer(number, self.scale(workers)))
            case _:
                journal.warning("the status port asked for something unknown")

    async def _answer(self, number: str, work: Coroutine[Any, Any, str]) -> None:
        self._chronicle.answered(number, await work)
        self._publish()

    def _publish(self) -> None:
        """Tell the processes that watch how all are."""
        if watchers := [child for child in self._children if child.role.watches and child.lives]:
            line = json.dumps(self.snapshot(), separators=(",", ":"))
            for child in watchers:
                child.inform(line)

    # ------------------------------------------------------------------------------------------------------ the pulse

    async def _watch_pulse(self) -> None:
        """Once a second: kill what hangs, renew what has grown too old or too big."""
        while True:
            asleep_since_s = time.monotonic()
            await asyncio.sleep(_PULSE_S)
            now_s = time.monotonic()
            if now_s - asleep_since_s > 3 * _PULSE_S:
                continue  # the machine, or we, stood still: the others could not be heard
            for child in [child for child in self._children if child.configured and not child.expected_to_go]:
                self._feel(child, now_s)
            self._publish()

    def _feel(self, child: Child, now_s: float) -> None:
        limit = self._settings.silence_limit if child.became_ready else self._settings.start_timeout
        if limit and now_s - child.heard_s > max(limit, _SHORTEST_SILENCE).total_seconds():
            state = "silent" if child.became_ready else "not ready"
            journal.error(
                "%s (process %d) was %s for %g s: killed", child.name, child.pid, state, limit.total_seconds()
            )
            child.kill()
        elif child.serves and now_s >= child.not_renewed_before_s and (why := self._overdue(child)):
            child.not_renewed_before_s = now_s + self._settings.restart_window.total_seconds()
            self._spawn(self._recycle(child, why))

    def _overdue(self, child: Child) -> str | None:
        most_requests, most_mb = self._settings.max_requests, self._settings.max_memory_mb
        requests, rss_mb = child.latest.get("requests", 0), child.latest.get("rss_bytes", 0) / 2**20
        if most_requests and requests >= most_requests:
            return f"has answered {requests} requests"
        if most_mb and rss_mb > most_mb:
            return f"holds {rss_mb:.0f} MiB"
        return None

    async def _recycle(self, child: Child, why: str) -> None:
        async with self._changing:
            if child.serves:
                journal.info("%s %s: renewed", child.name, why)
                if not await self._renew(child):
                    await self._fill()

    # ------------------------------------------------------------------------------------------------------- plumbing

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            journal.error("the supervisor failed", exc_info=error)
            self._give_up(f"an error of the supervisor: {error}")

    async def _unless_stopping(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, but break it off when the service is to stop."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
