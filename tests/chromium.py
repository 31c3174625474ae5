"""A real headless Chromium, spoken to over a pipe: no port, no driver, no library.

The protocol is Chromium's own: JSON messages ended by a zero byte, read from descriptor 3 and written to 4.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

_SWITCHES = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe"
)


class Chromium:
    """One browser with one page.

    Attributes:
        events: everything that the page reported, in order.
    """

    def __init__(self, profile: Path, timeout_s: float = 60) -> None:
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if program is None:
            raise FileNotFoundError("chromium is missing: apt-get install -y --no-install-recommends chromium")
        self.events: list[dict[str, Any]] = []
        self._timeout_s, self._number, self._buffer = timeout_s, 0, b""
        its_input, self._output = os.pipe()
        self._input, its_output = os.pipe()

        def place() -> None:  # between fork and exec: the browser wants its pipe at 3 and 4
            os.dup2(its_input, 103)
            os.dup2(its_output, 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        self._process = subprocess.Popen(
            [program, *_SWITCHES.split(), f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(3, 4), preexec_fn=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(its_input)
        os.close(its_output)
        self._session = ""
        self._session = self.call("Target.attachToTarget", targetId=self._page(), flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._input)
        os.close(self._output)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One call of the protocol, and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def show(self, path: Path, *, width: int = 1280, dark: bool = False, media: str = "screen") -> None:
        """Load a local page in a window of this width and wait until it is loaded."""
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        loader = self.call("Page.navigate", url=path.resolve().as_uri())["loaderId"]
        deadline = time.monotonic() + self._timeout_s
        while not self._has_loaded(loader):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} was not loaded in {self._timeout_s} s")
            self.events.append(self._read())

    def evaluate(self, expression: str) -> Any:
        """The value of a script in the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def print(self, path: Path) -> None:
        """The page as a PDF, as a person would print it: A4 and no background graphics."""
        self.call("Emulation.setEmulatedMedia", media="", features=[])
        answer = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        path.write_bytes(base64.b64decode(answer["data"]))

    def _page(self) -> str:
        """The page that the browser opens when it begins; it may answer before that."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            targets = self.call("Target.getTargets")["targetInfos"]
            if pages := [target["targetId"] for target in targets if target["type"] == "page"]:
                return str(pages[0])
            if time.monotonic() > deadline:
                raise TimeoutError(f"the browser opened no page in {self._timeout_s} s")
            time.sleep(0.02)

    def _has_loaded(self, loader: str) -> bool:
        """Whether a page was loaded, after this loader has put it in the place of the one before."""
        is_there = False
        for event in self.events:
            method, parameters = event.get("method"), event.get("params", {})
            is_there |= method == "Page.frameNavigated" and parameters["frame"]["loaderId"] == loader
            if is_there and method == "Page.loadEventFired":
                return True
        return False

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            if not select.select([self._input], [], [], self._timeout_s)[0]:
                raise TimeoutError(f"the browser said nothing for {self._timeout_s} s")
            part = os.read(self._input, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer
