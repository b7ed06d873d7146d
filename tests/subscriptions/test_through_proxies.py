"""Both ways through nginx and HAProxy as deploy/ configures them: events come when they are sent, not when 4 kB are."""

from pathlib import Path

from tests.deploy.proxies import Proxy
from tests.deploy.test_proxies import PROXIES
from tests.kit.small_company import HR, INES
from tests.mutations.changing import employee
from tests.subscriptions.clients import connected, streaming
from tests.subscriptions.conftest import Stage

IN_NOW = "subscription { todayChanged { inNow } }"


@PROXIES
async def test_events_pass_at_once(proxy: Proxy, fresh_stage: Stage, tmp_path: Path) -> None:
    stage, token = fresh_stage, await fresh_stage.service.token(HR)
    async with proxy([stage.port, stage.port], tmp_path) as port:
        origin = {"Origin": f"http://127.0.0.1:{port}"}
        async with connected(port, headers=origin) as socket, streaming(port, IN_NOW, token) as stream:
            await socket.sign_in(token)
            socket.subscribe(IN_NOW)
            assert await socket.next() == {"todayChanged": {"inNow": 3}}
            assert await stream.event() == ("next", {"data": {"todayChanged": {"inNow": 3}}})
            await stage.beat.all_wait(2)
            await stage.service.change("checkIn", HR, employeeId=employee(INES))
            await stage.beat.strike(2)
            assert await socket.next() == {"todayChanged": {"inNow": 4}}
            assert await stream.event() == ("next", {"data": {"todayChanged": {"inNow": 4}}})
