"""What is executed every time: mutations, errors, what is right for a moment only, and what was read past the cache."""

from datetime import timedelta

import pytest

from domain.enums import Role
from domain.ids import encode_id
from domain.permission import Viewer
from resolvers.consulted import FACTS, FACTS_BEHIND, WatchedViewer
from tests.kit.clock import Clock
from tests.kit.databases import Databases
from tests.kit.proxy import proxy_to
from tests.kit.round_trips import round_trips
from tests.kit.small_company import ADMIN, ALEX, EMPLOYEE, GRACE, HR, INES, MANAGER, MIA, NOW
from tests.kit.viewers import as_viewer
from tests.mutations.changing import employee
from tests.responses.questions import QUESTIONS, comparable
from tests.responses.service import Service, open_service, status

NAMES = "{ departments { code name } }"
EXPLAIN = f"""{{ attendanceDay(employeeId: "{encode_id("Employee", MIA)}", date: "2026-03-16") {{
  explain {{ step detail }} }} }}"""
NEVER = {
    "forbidden": ("{ users { email } }", EMPLOYEE, "error"),
    "an error beside data": ('{ me { email } node(id: "nonsense") { id } }', HR, "error"),
    "wrong argument": ("{ monthGrid(year: 1999, month: 3) { year } }", HR, "error"),
    "nobody": (NAMES, None, "error"),
    "explained day": (EXPLAIN, HR, "live"),
    "the schema": ("{ __schema { queryType { name } } }", HR, "unstamped"),
    "nothing at all": ("{ __typename }", None, "unstamped"),
}


@pytest.mark.parametrize("name", NEVER)
async def test_it_is_executed_every_time(service: Service, name: str) -> None:
    query, user, reason = NEVER[name]
    for _ in range(2):
        answer = await service.ask(query, user)
        assert (status(answer), answer.headers["cache-control"]) == (f"fwd=bypass; detail={reason}", "no-store")
        assert "etag" not in answer.headers
    assert len(service.responses) == 0


async def test_mutations_are_none_of_the_response_cache_s_business(fresh_service: Service) -> None:
    service = fresh_service
    mutation = """mutation($id: ID!) { checkIn(input: { employeeId: $id }) { userErrors { __typename } } }"""
    for problems in ([], [{"__typename": "InvalidInput"}]):
        answer = await service.ask(mutation, HR, {"id": employee(INES)})
        assert (len(answer.json["data"]["checkIn"]["userErrors"]), "etag" in answer.headers) == (len(problems), False)
        assert "cache-status" not in answer.headers and answer.headers["cache-control"] == "no-store"
    assert len(service.responses) == 0


async def test_variables_names_and_media_types_have_answers_of_their_own(service: Service) -> None:
    query = "query A($id: ID) { employee(id: $id) { fullName } } query B($id: ID) { employee(id: $id) { id } }"
    asked = [
        ({"operationName": name, "variables": {"id": employee(key)}}, accept)
        for name in "AB"
        for key in (GRACE, ALEX)
        for accept in ("application/json", "application/graphql-response+json")
    ]
    token = f"Bearer {await service.token(HR)}"

    async def all_of_them() -> list[tuple[str, bytes]]:
        found = []
        for given, accept in asked:
            headers = {"Authorization": token, "Accept": accept}
            answer = await service.client.post({"query": query, **given}, headers=headers)
            found.append((status(answer), answer.body))
        return found

    first, second = await all_of_them(), await all_of_them()
    assert [word for word, _ in first] == ["fwd=miss; stored"] * 8
    assert second == [("hit", body) for _, body in first]
    assert len({body for _, body in first}) == 4


async def test_a_get_that_brings_the_etag_back_is_answered_304_without_execution(service: Service) -> None:
    query = QUESTIONS["people"]
    first = await service.ask(query, HR, method="GET")
    etag = first.headers["etag"]
    assert (first.headers["cache-control"], first.headers["vary"]) == ("private, no-cache", "Accept, Authorization")
    for given in (etag, etag.removeprefix("W/"), f'"other", {etag}'):
        with round_trips(sql=0, redis=1):
            again = await service.ask(query, HR, method="GET", headers={"If-None-Match": given})
        assert (again.status, again.body, again.headers["etag"], status(again)) == (304, b"", etag, "hit")
        assert {"content-length", "content-type"}.isdisjoint(again.headers), "those of a body that is not empty"
    assert (await service.ask(query, HR, headers={"If-None-Match": etag})).body == first.body, "POST is never 304"
    head = await service.ask(query, HR, method="HEAD")
    assert (head.status, head.body, status(head)) == (200, b"", "hit")
    assert head.headers["content-length"] == str(len(first.body))
    for user in (EMPLOYEE, ADMIN):  # the second time from the cache
        for _ in range(2):
            other = await service.ask(query, user, method="GET", headers={"If-None-Match": etag})
            assert (other.status, other.headers["etag"] != etag, other.body != first.body) == (200, True, True)


async def test_fields_may_allow_clients_to_reuse_an_answer_and_the_least_counts(
    databases: Databases, company_url: str
) -> None:
    ages = "Query.locations=300, Location.name=90, Query.today=3600"
    async with open_service(company_url, databases.redis_url, Clock(NOW), max_ages=ages) as service:
        for query, expected in (
            ("{ locations { id } }", "private, max-age=300"),
            ("{ locations { id name } }", "private, max-age=90"),
            ("{ locations { id } shifts { id } }", "private, no-cache"),
            ("{ today { inNow } }", "private, max-age=60"),  # it ends with its minute
        ):
            for _ in range(2):
                assert (await service.ask(query, HR)).headers["cache-control"] == expected
        [etag] = [(await service.ask("{ locations { id } }", HR, method="GET")).headers["etag"]]
        again = await service.ask("{ locations { id } }", HR, method="GET", headers={"If-None-Match": etag})
        assert (again.status, again.headers["cache-control"]) == (304, "private, max-age=300")
        assert again.headers["vary"] == "Accept, Authorization, X-Rollcall-Consistency", "a token asks the service"


async def test_no_client_may_reuse_an_answer_beyond_the_end_of_a_role(databases: Databases, fresh_url: str) -> None:
    ages, end = "Query.employees=300", (NOW + timedelta(seconds=30)).isoformat()
    async with open_service(fresh_url, databases.redis_url, Clock(NOW), max_ages=ages) as service:
        await service.change("grantRole", ADMIN, userId=await service.user_id(EMPLOYEE), role="HR", expiresAt=end)
        for _ in range(2):
            told = (await service.ask("{ employees { totalCount } }", EMPLOYEE)).headers["cache-control"]
            assert told == "private, max-age=30"


async def test_an_etag_belongs_to_a_class_even_where_bodies_are_equal(service: Service) -> None:
    query = '{ employees(filter: { search: "nobody at all" }) { nodes { id } } }'
    mine, theirs = await service.ask(query, HR, method="GET"), await service.ask(query, EMPLOYEE, method="GET")
    assert mine.body == theirs.body and mine.headers["etag"] != theirs.headers["etag"]


async def test_memory_is_bounded_and_the_oldest_leave(databases: Databases, company_url: str) -> None:
    bound = 40_000
    async with open_service(company_url, databases.redis_url, Clock(NOW), response_bytes=bound) as service:
        queries = [f"{{ a{number}: departments {{ name }} }}" for number in range(30)]
        for query in queries:
            assert status(await service.ask(query, HR)) == "fwd=miss; stored"
            assert status(await service.ask(queries[0], HR)) == "hit"
            assert service.responses.bytes <= bound
        kept = len(service.responses)
        assert 10 < kept < 30
        assert service.responses.bytes == sum(answer.size_bytes for answer in service.responses._answers.values())
        assert status(await service.ask(queries[1], HR)) == "hit; detail=shared"  # from Redis, which has more room
        assert status(await service.ask(QUESTIONS["grid"], HR)) == "fwd=bypass; detail=large"


async def test_keys_of_a_viewer_s_answers_share_what_is_known_of_the_viewer(service: Service) -> None:
    """Who may see 1,000 departments would have another 50 kB in memory with each answer."""
    for number in range(3):
        await service.ask(f"{{ a{number}: employees {{ totalCount }} }}", MANAGER)
    reaches = [values[facts.index("identified")] for _, facts, values in service.responses._answers if values]
    assert len(reaches) == 3 and reaches[0] is reaches[1] is reaches[2]


async def test_without_memory_nothing_is_kept(databases: Databases, company_url: str) -> None:
    async with open_service(company_url, databases.redis_url, Clock(NOW), response_bytes=0) as service:
        for _ in range(2):
            assert status(await service.ask(NAMES, HR)) == "fwd=bypass; detail=large"


async def test_with_redis_refused_everything_is_executed_and_nothing_fails(
    databases: Databases, company_url: str
) -> None:
    async with (
        proxy_to(databases.redis_url.removeprefix("unix://")) as redis,
        open_service(company_url, f"redis://127.0.0.1:{redis.port}", Clock(NOW)) as service,
    ):
        first = {name: await service.ask(query, HR) for name, query in QUESTIONS.items()}
        assert status(await service.ask(NAMES, HR)) == "fwd=miss; stored"
        await redis.refuse()
        for name, query in QUESTIONS.items():
            answer = await service.ask(query, HR)
            assert comparable(answer) == comparable(first[name])
            assert status(answer).startswith("fwd=bypass; detail=") or name == "users"
        with round_trips(sql=2):
            assert status(await service.ask(NAMES, HR)) == "fwd=bypass; detail=unstamped"


async def test_without_a_fence_nothing_is_kept(databases: Databases, fresh_url: str) -> None:
    async with open_service(fresh_url, databases.redis_url, Clock(NOW), drains=False) as service:
        for _ in range(2):
            assert status(await service.ask(NAMES, HR)) == "fwd=bypass; detail=unstamped"


def test_every_attribute_of_a_viewer_has_its_facts() -> None:
    """A new property of Viewer must say here what it is made of; until then it counts as made of everything."""
    assert {name for name in dir(Viewer) if not name.startswith("_")} == set(FACTS_BEHIND)
    assert {fact for facts in FACTS_BEHIND.values() for fact in facts} == set(FACTS)


def test_an_attribute_rests_on_no_other_facts_than_it_says() -> None:
    """Each property is given a viewer that has nothing but the facts behind it."""

    class Only:
        def __init__(self, names: tuple[str, ...]) -> None:
            self.names = names

        def __getattr__(self, name: str) -> object:
            assert name in self.names, f"{name} is looked at"
            return getattr(as_viewer(Role.HR, employee=GRACE), name)

    one = type("One", (), {"id": GRACE, "department_id": 1, "location_id": 1, "manager_id": None})()
    for name in ("seen", "needs_groups"):
        getattr(Viewer, name).fget(Only(FACTS_BEHIND[name]))
    Viewer.may_manage(Only(FACTS_BEHIND["may_manage"]), one)  # type: ignore[arg-type]
    Viewer.may_record_at(Only(FACTS_BEHIND["may_record_at"]), 1)  # type: ignore[arg-type]


def test_what_nobody_declared_counts_as_everything() -> None:
    watched = WatchedViewer(as_viewer())
    with pytest.raises(AttributeError):
        _ = watched.something_new
    assert watched.consulted == set(FACTS)
