"""A headless Chromium, driven by its DevTools protocol over the two pipes it reads and writes."""

import asyncio
import base64
import fcntl
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

ANSWER_TIMEOUT_SECONDS = 30
TABS_AT_MOST = 200
KEYS = {"Enter": (13, "\r"), " ": (32, " "), "Tab": (9, ""), "a": (65, "a")}
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


def chromium_path() -> str | None:
    """Find the browser: $CHROMIUM, or a usual name on PATH."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if name and (path := shutil.which(name))), None)


@dataclass
class Page:
    """One page, and all that went wrong or over the network in it and its workers."""

    browser: "Browser"
    session: str
    context: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    attached: list["asyncio.Task[None]"] = field(default_factory=list)
    downloaded: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    loaded: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, method: str, **params: Any) -> Any:
        return await self.browser.call(method, self.session, **params)

    async def watch(self, session: str) -> None:
        """Listen to the page or to one of its workers, from before its first request."""
        for domain in ("Network", "Runtime", "Log"):
            await self.browser.call(f"{domain}.enable", session)
        await self.browser.call("Runtime.runIfWaitingForDebugger", session)

    def note(self, method: str, params: Any) -> None:
        match method:
            case "Target.attachedToTarget":
                self.attached.append(asyncio.ensure_future(self.watch(params["sessionId"])))
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.errors.append(params["exceptionDetails"].get("exception", {}).get("description", str(params)))
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.errors.append(f"{params['type']}: {[arg.get('value', arg) for arg in params['args']]}")
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Audits.issueAdded" if params["issue"]["code"] == "ContentSecurityPolicyIssue":
                self.errors.append(f"content security policy: {params['issue']['details']}")
            case "Page.loadEventFired":
                self.loaded.set()
            case "Browser.downloadProgress" if params["state"] == "completed":
                self.downloaded.put_nowait(params["guid"])
            case _:
                pass

    async def go(self, method: str, **params: Any) -> None:
        """Navigate or reload, until the new page is there."""
        self.loaded.clear()
        await self.call(method, **params)
        await asyncio.wait_for(self.loaded.wait(), ANSWER_TIMEOUT_SECONDS)

    def take_errors(self) -> list[str]:
        """Give the errors so far, for a test that means them."""
        taken, self.errors = self.errors, []
        return taken

    async def evaluate(self, expression: str) -> Any:
        answer = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Wait in the page until the expression is truthy, and give its value."""
        look = f"(() => {{ const found = {expression}; found ? give(found) : setTimeout(look, 20); }})"
        try:
            return await self.evaluate(f"new Promise((give) => {{ const look = {look}; look(); }})")
        except TimeoutError:
            raise AssertionError(f"never came: {expression}; errors: {self.errors}") from None

    async def until_text(self, selector: str, text: str) -> None:
        """Wait until the element shows the text; Monaco writes spaces as no-break spaces."""
        shown = f"document.querySelector({json.dumps(selector)})?.innerText.replaceAll('\\u00a0', ' ')"
        await self.until(f"{shown}?.includes({json.dumps(text)})")

    async def click(self, finder: str) -> None:
        """Click with the mouse in the middle of the element that the expression finds."""
        middle = "(({ x, y, width, height }) => [x + width / 2, y + height / 2])"
        x, y = await self.until(f"((found) => found && {middle}(found.getBoundingClientRect()))({finder})")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def click_button(self, name: str) -> None:
        await self.click(
            f"[...document.querySelectorAll('button')].find((b) => !b.disabled && b.innerText === {json.dumps(name)})"
        )

    async def type_into(self, selector: str, text: str) -> None:
        found = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"{found} && ({found}.select(), true)")
        await self.call("Input.insertText", text=text)

    async def press(self, key: str, *, control: bool = False, shift: bool = False) -> None:
        code, text = KEYS[key]
        modifiers = 2 * control + 8 * shift
        typed = {"text": text} if text and not control else {}
        for kind, more in (("keyDown", typed), ("keyUp", {})):
            await self.call(
                "Input.dispatchKeyEvent",
                **{"type": kind, "key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers, **more},
            )

    async def tab_to(self, name: str, *, back: bool = False) -> None:
        """Press Tab until the focus is on what shows the name."""
        for _ in range(TABS_AT_MOST):
            await self.press("Tab", shift=back)
            focused = await self.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel")
            if focused == name:
                return
        raise AssertionError(f"{name} is not within {TABS_AT_MOST} times Tab")

    async def resize(self, width: int, height: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def prefer(self, scheme: str) -> None:
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot"))["data"]))


class Browser:
    """The protocol: numbered commands out, answers and events in, each ended by a NUL."""

    def __init__(self, reader: asyncio.StreamReader, commands: BinaryIO, downloads: Path) -> None:
        self._reader = reader
        self._commands = commands
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.page: Page | None = None
        self.downloads = downloads

    async def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        number = len(self._answers) + 1
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        self._commands.write(json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        return await asyncio.wait_for(answer, ANSWER_TIMEOUT_SECONDS)

    async def read(self) -> None:
        while True:
            message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            if "id" not in message:
                if self.page:
                    self.page.note(message["method"], message["params"])
                continue
            answer = self._answers[message["id"]]
            if answer.done():
                continue
            if "error" in message:
                answer.set_exception(AssertionError(str(message["error"])))
            else:
                answer.set_result(message["result"])

    @asynccontextmanager
    async def opened(self, url: str) -> AsyncIterator[Page]:
        """Open a page in a context of its own: nothing is stored yet, and nothing stays."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self.page = Page(self, session, context)
        try:
            await self._prepare(page)
            await page.go("Page.navigate", url=url)
            yield page
        finally:
            self.page = None
            for task in page.attached:
                task.cancel()
            await asyncio.gather(*page.attached, return_exceptions=True)
            await self.call("Target.disposeBrowserContext", browserContextId=context)

    async def _prepare(self, page: Page) -> None:
        await page.watch(page.session)
        await page.call("Audits.enable")
        await page.call("Page.enable")
        await page.call("Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True)
        await self.call(
            "Browser.setDownloadBehavior",
            behavior="allowAndName",
            browserContextId=page.context,
            downloadPath=str(self.downloads),
            eventsEnabled=True,
        )
        await page.resize(1440, 900)


def _start(path: str, folder: Path) -> tuple[int, int, int]:
    """Start Chromium with its pipes as descriptors 3 and 4; give its pid and our two ends."""
    command_read, command_write = os.pipe()
    answer_read, answer_write = os.pipe()
    # The child's ends stand well above 4, so that neither dup2 overwrites the other.
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (command_read, answer_write)]
    log = os.open(folder / "chromium.log", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    pid = os.posix_spawn(
        path,
        [path, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
        {**os.environ, "HOME": str(folder)},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
            (os.POSIX_SPAWN_DUP2, theirs[0], 3),
            (os.POSIX_SPAWN_DUP2, theirs[1], 4),
        ],
        setpgroup=0,
    )
    for end in (command_read, answer_write, *theirs, log):
        os.close(end)
    return pid, command_write, answer_read


@asynccontextmanager
async def chromium(path: str, folder: Path) -> AsyncIterator[Browser]:
    """Run a browser with a fresh profile; its whole process group ends with the block."""
    pid, command_write, answer_read = _start(path, folder)
    reader = asyncio.StreamReader(limit=64 * 2**20)
    loop = asyncio.get_running_loop()
    answers = os.fdopen(answer_read, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), answers)
    commands = os.fdopen(command_write, "wb", buffering=0)
    browser = Browser(reader, commands, folder)
    reading = asyncio.ensure_future(browser.read())
    try:
        yield browser
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        commands.close()
        transport.close()
        os.killpg(pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, pid, 0)
        # pytest keeps the folders of its last three runs; a profile is 15 MB.
        await asyncio.to_thread(shutil.rmtree, folder / "profile", ignore_errors=True)
