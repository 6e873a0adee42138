"""Look at pages in a headless Chromium: screenshots at several widths, light and dark, errors, and axe's verdict.

Needs Chromium (``apt-get install chromium``). With ``--axe`` a copy of axe-core's ``axe.min.js`` checks accessibility.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from websockets.asyncio.client import ClientConnection, connect

WIDTHS = (390, 768, 1440)
SCHEMES = ("light", "dark")
TALLEST = 16_000  # pixels of a screenshot
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 60.0


def chromium() -> str | None:
    """The path of a Chromium on this machine; None without one."""
    return next((path for name in PROGRAMS if (path := shutil.which(name)) is not None), None)


@dataclass
class Seen:
    """What a browser saw of a page.

    Attributes:
        errors: Errors and warnings of the console, uncaught exceptions, and violations of the page's own policy.
        requests: Addresses that were asked for beside the page itself.
    """

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Browser:
    """One tab of a headless Chromium, steered by its own protocol. ``opened`` makes one."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        self.seen = Seen()
        self._url = ""

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol. Raises RuntimeError where Chromium refuses it."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        return await asyncio.wait_for(answer, SECONDS)

    async def evaluate(self, script: str) -> Any:
        """The value of a script in the page, as JSON. Raises RuntimeError where it throws."""
        found = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script[:80]}: {found['exceptionDetails']}")
        return found["result"].get("value")

    async def open(self, page: Path, width: int, scheme: str, height: int = 900) -> Seen:
        """Open a page at a width, in pixels, and a colour scheme; what is seen of it from now on."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.seen, self._url = Seen(), page.resolve().as_uri()
        self._loaded.clear()
        await self.call("Page.navigate", url=self._url)
        await asyncio.wait_for(self._loaded.wait(), SECONDS)
        await self.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
        return self.seen

    async def screenshot(self, whole: bool = True) -> bytes:
        """A PNG of the whole page, or of what a screen shows of it."""
        more: dict[str, Any] = {}
        if whole:
            size = (await self.call("Page.getLayoutMetrics"))["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], TALLEST), "scale": 1}
            more = {"captureBeyondViewport": True, "clip": clip}
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png", **more))["data"])

    async def violations(self, axe: str, tags: Sequence[str] = ("wcag2a", "wcag2aa", "wcag21aa")) -> list[str]:
        """What axe-core (its source) finds against WCAG AA in the page."""
        await self.evaluate(f"{axe};0")
        run = f"axe.run({{runOnly: {json.dumps(list(tags))}}}).then((r) => r.violations)"
        return [
            f"{found['id']} ({found['impact']}): {node['target']} {node['failureSummary']}"
            for found in await self.evaluate(run)
            for node in found["nodes"]
        ]

    async def _read(self) -> None:
        async for line in self._socket:
            message = json.loads(line)
            if "id" in message:
                answer = self._answers.pop(message["id"])
                if "error" in message:
                    answer.set_exception(RuntimeError(str(message["error"])))
                else:
                    answer.set_result(message["result"])
            else:
                self._note(message["method"], message["params"])

    def _note(self, method: str, told: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Runtime.exceptionThrown":
            self.seen.errors.append(str(told["exceptionDetails"].get("exception", told["exceptionDetails"])))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.seen.errors.append(str([one.get("value") for one in told["args"]]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.seen.errors.append(told["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = told["request"]["url"]
            if url != self._url and not url.startswith("data:"):
                self.seen.requests.append(url)


@asynccontextmanager
async def opened(program: str) -> AsyncIterator[Browser]:
    """A browser with an empty tab and a profile of its own, which are gone afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(  # noqa: S603 - a program and flags of our own
            [
                *(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--disable-background-networking", "--no-first-run", "--hide-scrollbars"),
                *("--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = await _port_of(Path(profile) / "DevToolsActivePort", process)
            async with connect(await _tab(port), max_size=None, compression=None) as socket:
                browser = Browser(socket)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await browser.call(f"{domain}.enable")
                yield browser
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


async def _port_of(file: Path, process: subprocess.Popen[bytes]) -> str:
    async with asyncio.timeout(SECONDS):
        while not (file.is_file() and file.read_text(encoding="ascii").count("\n")):
            if process.poll() is not None:
                raise RuntimeError(f"Chromium ended with exit code {process.returncode} before it listened")
            await asyncio.sleep(0.05)
    return file.read_text(encoding="ascii")


async def _tab(listening: str) -> str:
    """The address of the first tab, from the browser's own address."""
    port, path = listening.split("\n")[:2]
    async with connect(f"ws://127.0.0.1:{port}{path}") as socket:
        await socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
        while True:
            answer = json.loads(await socket.recv())
            if answer.get("id") == 1:
                tab = next(one for one in answer["result"]["targetInfos"] if one["type"] == "page")
                return f"ws://127.0.0.1:{port}/devtools/page/{tab['targetId']}"


async def look(program: str, pages: Sequence[Path], output: Path, axe: str | None) -> int:
    """Write the screenshots, say what was seen, and count what is wrong."""
    wrong = 0
    async with opened(program) as browser:
        for page in pages:
            for width in WIDTHS:
                for scheme in SCHEMES:
                    seen = await browser.open(page, width, scheme)
                    too_wide = await browser.evaluate("document.documentElement.scrollWidth - innerWidth")
                    found = [*seen.errors, *(f"asked for {url}" for url in seen.requests)]
                    found += [f"{too_wide} px wider than the screen"] if too_wide > 0 else []
                    file = output / f"{page.stem}-{width}-{scheme}.png"
                    file.write_bytes(await browser.screenshot())
                    if axe is not None:
                        found += await browser.violations(axe)
                    wrong += len(found)
                    click.echo(f"{file}: {'; '.join(found) or 'nothing wrong'}")
    return wrong


@click.command()
@click.argument("pages", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=Path("screenshots"), help="Folder.")
@click.option("--axe", type=click.Path(exists=True, path_type=Path), help="axe-core's axe.min.js.")
def main(pages: tuple[Path, ...], output: Path, axe: Path | None) -> None:
    """Take screenshots of PAGES at 390, 768 and 1440 px, light and dark. Exit code 1 if anything is wrong."""
    program = chromium()
    if program is None:
        raise click.ClickException("no Chromium is installed; apt-get install chromium")
    output.mkdir(parents=True, exist_ok=True)
    source = None if axe is None else axe.read_text(encoding="utf-8")
    raise SystemExit(bool(asyncio.run(look(program, pages, output, source))))


if __name__ == "__main__":
    main()
