"""Readers, writers and importers: what goes on all the time, and what became of every write under its run id."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from domain.ids import decode_int_id, encode_id
from tests.coherence.through_http.client import Client, Failed, Told
from tests.coherence.through_http.company import DEPARTMENTS, Company
from tests.coherence.through_http.questions import EXCEPTION_DAYS, PUNCHED_DATES, Numbers, Question, Questions, hot
from tests.coherence.through_http.registers import Register, Registers
from tests.coherence.through_http.stand import Stand

READERS: Final = (*("hr",) * 18, *("manager",) * 6, *("employee",) * 6, *("analyst",) * 2)
"""So many that most still ask while a fault holds the others up."""
WRITERS: Final = 8
WRITES: Final = {"save": 40, "punch": 20, "come": 12, "import": 8, "check": 10, "hire": 10}
"""Weights; a write costs what some twenty hits cost, so that 2 % of all operations are enough."""
READS_A_WRITE: Final = 49
MOST_HIRED: Final = 3_000
LARGEST_IMPORT: Final = 25
SAVE: Final = (
    "mutation Save($input: EmployeeInput!) { saveEmployee(input: $input) "
    "{ employee { id version } userErrors { code message } } }"
)
CHECK_IN: Final = (
    "mutation CheckIn($input: CheckInput!) { checkIn(input: $input) { punch { id } userErrors { code message } } }"
)
RECORD: Final = (
    "mutation Record($input: RecordPunchesInput!) { recordPunches(input: $input) "
    "{ accepted duplicates unmatched userErrors { code message } } }"
)


class Traffic:
    """Everybody who asks and writes. `done` counts operations: requests and statements of psql that came to an end."""

    def __init__(self, stand: Stand, company: Company, seed: int, reads_a_write: int = READS_A_WRITE) -> None:
        self.stand, self.company, self.seed, self._reads_a_write = stand, company, seed, reads_a_write
        self.registers = Registers()
        self.numbers = Numbers(self.registers, company)
        self.done = self.reads = self.writes = 0
        self.kinds: Counter[str] = Counter()
        """Of what was answered."""
        self.ways: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.unknown: set[str] = set()
        self.saved: dict[str, tuple[int, int]] = {}
        self.hired: set[str] = set()
        self.punched: set[str] = set()
        self._run_ids = 0
        self._random = random.Random(seed)
        self._absent = [(id_, day) for day in self.numbers.past[PUNCHED_DATES:] for id_ in self.numbers.version]
        self._random.shuffle(self._absent)
        self._not_in = list(self.numbers.is_in)
        self._random.shuffle(self._not_in)
        self.stopping = False

    # ------------------------------------------------------------------------------------------------------- running

    async def begin(self) -> None:
        """Learn what counts as nothing yet."""
        client = self.client("hr", 0, self._random)
        data = (await client.ask(self.questions().today().document, {})).data
        self.numbers.open_at_first = data["today"]["exceptionsOpen"]
        client.close()

    async def run(self, until: Callable[[], Awaitable[None]], *beside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Go on until `until` has ended; then let everybody come to an end, also what goes on beside."""
        async with asyncio.TaskGroup() as tasks:
            for number, viewer in enumerate(READERS):
                tasks.create_task(self._reader(viewer, number))
            for number in range(WRITERS):
                tasks.create_task(self._writer(number))
            for work in beside:
                tasks.create_task(work())
            try:
                await until()
            finally:
                self.stopping = True

    @property
    def hits(self) -> int:
        """How many answers came from the cache of responses, or were known to the client and right."""
        return sum(number for way, number in self.ways.items() if "hit" in way or way.startswith("304"))

    def client(self, viewer: str, node: int, choice: random.Random) -> Client:
        """Somebody at one of the nodes."""
        return Client(self.stand.nodes[node].port, self.company.token_by_viewer[viewer], choice)

    def questions(self, choice: random.Random | None = None) -> Questions:
        """Questions about everything that is watched."""
        return Questions(self.numbers, choice or self._random)

    # ------------------------------------------------------------------------------------------------------- reading

    async def _reader(self, viewer: str, number: int) -> None:
        choice = random.Random(f"{self.seed} reader {number}")
        questions, nodes = self.questions(choice), range(len(self.stand.nodes))
        clients = [self.client(viewer, node, choice) for node in nodes]
        while not self.stopping:
            node = choice.choice(nodes)
            await self.look(
                clients[node], questions.draw(viewer), f"{viewer} at node-{node + 1}", choice.random() < 0.5
            )
        for client in clients:
            client.close()

    async def look(self, client: Client, question: Question, who: str, by_get: bool = False) -> Told | None:
        """Ask and check; None without an answer."""
        kind = question.document[len("query ") :].partition(" ")[0].partition("(")[0]
        asked = f"{kind} by {who}"
        glance = self.registers.glance(asked, question.watched)
        try:
            told = await client.ask(question.document, question.variables, by_get=by_get)
        except Failed as error:
            self.failed("read", error)
            await asyncio.sleep(0.1)
            return None
        try:
            glance.ended(question.told(told.data), told.how)
        except (TypeError, KeyError) as error:
            raise AssertionError(f"{asked} was told {told} for {question.variables}") from error
        self.ways[told.how] += 1
        self.kinds[kind] += 1
        self.done += 1
        self.reads += 1
        return told

    def failed(self, kind: str, error: Failed) -> None:
        """Somebody got no answer."""
        self.failures[f"{kind}: {error}"] += 1
        self.done += "Refused" not in str(error)  # then nobody was asked

    # ------------------------------------------------------------------------------------------------------- writing

    def run_id(self, kind: str) -> str:
        """Under which a write is looked for at the end."""
        self._run_ids += 1
        return f"{kind}-{self.seed}-{self._run_ids}"

    async def _writer(self, number: int) -> None:
        choice = random.Random(f"{self.seed} writer {number}")
        nodes = range(len(self.stand.nodes))
        hr = [self.client("hr", node, choice) for node in nodes]
        device = [self.client("device", node, choice) for node in nodes]
        while not self.stopping:
            if self.writes * self._reads_a_write > self.reads:
                await asyncio.sleep(0.03)
                continue
            node = choice.choice(nodes)
            [what] = choice.choices(list(WRITES), list(WRITES.values()))
            if what == "save":
                await self.save(hr[node], hot(choice))
            elif what == "punch":
                await self._punch(device[node], choice)
            elif what in ("come", "import"):
                await self._come(device[node], what, 1 if what == "come" else _size(choice))
            elif what == "check":
                await self._check_in(hr[node])
            else:
                await self._hire(hr[node], choice)
        for client in (*hr, *device):
            client.close()

    async def _change(
        self, client: Client, run_id: str, document: str, input_: Mapping[str, Any], rising: Iterable[Register]
    ) -> dict[str, Any] | None:
        """The payload of a mutation that was acknowledged; what it raises is begun here."""
        registers = list(rising)
        self.writes += 1
        for register in registers:
            register.begin(run_id)
        try:
            told = await client.ask(document, {"input": input_})
        except Failed as error:
            self.unknown.add(run_id)
            self.failed("write", error)
            await asyncio.sleep(0.1)
            return None
        [payload] = told.data.values()
        assert isinstance(payload, dict)
        assert not payload["userErrors"], payload["userErrors"]
        self.kinds[run_id.partition("-")[0]] += 1
        self.done += 1
        return payload

    async def save(self, client: Client, id_: int) -> None:
        """Give an employee another name."""
        run_id = self.run_id("save")
        name, register = f"E{id_:03} {run_id}", self.numbers.version[id_]
        self.numbers.written.append(id_)
        payload = await self._change(
            client, run_id, SAVE, {"id": encode_id("Employee", id_), "fullName": name}, [register]
        )
        if payload is not None:
            self.saved[run_id] = id_, payload["employee"]["version"]
            register.acknowledge(run_id, payload["employee"]["version"])

    async def _punch(self, client: Client, choice: random.Random) -> None:
        """One more punch on an old date."""
        id_, day = hot(choice, 1.5), choice.choice(self.numbers.past[:PUNCHED_DATES])
        register, run_id = self.numbers.punches[id_, day], self.run_id("punch")
        self.numbers.written.append(id_)
        minutes = 8 * 60 + (register.begun + 1) / 10
        punch = {"badgeNo": f"B{id_:03}", "at": self.company.instant(day, minutes), "clientEventId": run_id}
        payload = await self._change(client, run_id, RECORD, {"deviceCode": "T-1", "punches": [punch]}, [register])
        if payload is not None:
            assert payload["accepted"] == 1, payload
            self.punched.add(run_id)
            register.acknowledge(run_id)

    async def _come(self, client: Client, kind: str, how_many: int) -> None:
        """People were there for a whole day; several at once are an import."""
        run_id = self.run_id(kind)
        took, self._absent = self._absent[-how_many:], self._absent[:-how_many]
        punches = [
            {
                "badgeNo": f"B{id_:03}",
                "at": self.company.instant(day, 60 * hour),
                "direction": direction,
                "clientEventId": f"{run_id}-{id_}-{day}-{direction}",
            }
            for id_, day in took
            for hour, direction in ((9, "IN"), (18, "OUT"))
        ]
        if not punches:
            return
        rising = [register for id_, day in took for register in self.numbers.of_present(id_, day)]
        payload = await self._change(client, run_id, RECORD, {"deviceCode": "T-1", "punches": punches}, rising)
        if payload is not None:
            assert payload["accepted"] == len(punches), payload
            self.punched.update(str(punch["clientEventId"]) for punch in punches)
            for register in rising:
                register.acknowledge(run_id)

    async def _check_in(self, client: Client) -> None:
        if not self._not_in:
            return
        id_, run_id = self._not_in.pop(), self.run_id("check")
        rising = self.numbers.of_coming(id_)
        if id_ in self.numbers.is_in:
            self.numbers.written.append(id_)
        input_ = {"employeeId": encode_id("Employee", id_), "clientEventId": run_id}
        if await self._change(client, run_id, CHECK_IN, input_, rising) is not None:
            self.punched.add(run_id)
            for register in rising:
                register.acknowledge(run_id)

    async def _hire(self, client: Client, choice: random.Random) -> None:
        if len(self.hired) >= MOST_HIRED:
            return
        department, run_id = choice.randint(1, DEPARTMENTS), self.run_id("hire")
        input_ = {
            "employeeNo": run_id,
            "fullName": f"Z {run_id}",
            "departmentId": encode_id("Department", department),
            "locationId": encode_id("Location", 1),
            "hiredOn": f"{self.company.today}",
        }
        register = self.numbers.heads[department]
        if (payload := await self._change(client, run_id, SAVE, input_, [register])) is not None:
            self.hired.add(run_id)
            hired = decode_int_id(payload["employee"]["id"], "Employee")
            self._not_in.insert(choice.randrange(len(self._not_in) + 1), hired)
            register.acknowledge(run_id)

    # ------------------------------------------------------------------------------------------------------ the end

    async def missing(self) -> list[str]:
        """Run ids that were acknowledged and that the database does not have, or has otherwise."""
        connection = await self.stand.postgres.connect("postgres")
        try:
            trail = await connection.fetch("SELECT employee_id, version, run_id FROM torture_trail")
            numbers = {str(row[0]) for row in await connection.fetch("SELECT employee_no FROM employee")}
            events = {
                str(row[0])
                for row in await connection.fetch("SELECT client_event_id FROM punch WHERE client_event_id IS NOT NULL")
            }
        finally:
            await connection.close()
        kept = {str(row[2]).split(" ")[-1]: (row[0], row[1]) for row in trail}
        lost = [f"{run_id} {told}" for run_id, told in self.saved.items() if not _is_kept(kept.get(run_id), told)]
        lost += [f"{run_id} twice" for run_id, times in Counter(str(row[2]) for row in trail).items() if times > 1]
        return lost + sorted(self.hired - numbers) + sorted(self.punched - events)

    async def at_rest(self, times: int = 2) -> int:
        """When nothing goes on any more: ask everything of both nodes; how often something was asked."""
        asked = 0
        for node in range(len(self.stand.nodes)):
            client = self.client("hr", node, self._random)
            for question in self.questions().every() * times:
                asked += await self.look(client, question, f"hr at rest at node-{node + 1}") is not None
            client.close()
        return asked

    async def truth(self) -> dict[str, int]:
        """What the database itself says of some numbers, for whoever doubts the service's own words."""
        connection = await self.stand.postgres.connect("postgres")
        try:
            rows = await connection.fetch("SELECT id, version FROM employee WHERE id <= $1", len(self.numbers.version))
            found = {f"version of E{row[0]:03}": int(row[1]) for row in rows}
            days = await connection.fetch(
                "SELECT department_id, count(*) FILTER (WHERE status = 'PRESENT' AND work_date < $1),"
                " count(*) FILTER (WHERE status = 'PRESENT' AND work_date < $1 AND work_date >= $2)"
                " FROM attendance_day WHERE work_date > $3 GROUP BY 1",
                self.company.today,
                self.company.today - timedelta(days=EXCEPTION_DAYS),
                self.numbers.past[PUNCHED_DATES - 1],
            )
        finally:
            await connection.close()
        found |= {f"present days of D{row[0]}": int(row[1]) for row in days}
        return found | {"present days": sum(int(row[1]) for row in days)}


def _size(choice: random.Random) -> int:
    """Of an import: mostly small, so that there are thousands."""
    return 2 + int((LARGEST_IMPORT - 1) * choice.random() ** 6)


def _is_kept(kept: tuple[int, int] | None, told: tuple[int, int]) -> bool:
    """What a mutation answers is read after its COMMIT, when somebody else may have written again."""
    return kept is not None and kept[0] == told[0] and kept[1] <= told[1]
