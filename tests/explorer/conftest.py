"""One server for all tests of the explorer, and one browser where there is one."""

import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
# Seconds. What has not answered by then never will; the slowest machine needs a tenth.
PATIENCE = 60


@dataclass
class Server:
    """A running `steepest explore`."""

    process: subprocess.Popen
    address: str

    @property
    def port(self):
        return int(re.search(r":(\d+)/", self.address)[1])

    @property
    def token(self):
        return self.address.partition("token=")[2]

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start(*arguments, cwd=None):
    """Start an explorer and wait for its first line."""
    command = [sys.executable, "-c", "import sys; from steepest.cli import main; sys.exit(main())", "explore"]
    process = subprocess.Popen(
        [*command, "--no-open", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    try:
        first = process.stdout.readline().strip()
    finally:
        timer.cancel()
    if not first:
        raise AssertionError(process.communicate()[1])
    return Server(process, first)


@pytest.fixture(scope="session")
def server():
    running = start()
    yield running
    running.stop()


@pytest.fixture
def explorer():
    """Starts explorers that end with the test."""
    running = []

    def begin(*arguments, **options):
        running.append(start(*map(str, arguments), **options))
        return running[-1]

    yield begin
    for one in running:
        one.stop()


@pytest.fixture(scope="module")
def chromium():
    """The browser; without one these tests are skipped, loudly, and in CI they fail instead.

    One for each module and no longer: its driver keeps an event loop running, beside which nothing else of the
    process could begin one.
    """
    if CHROMIUM is None:
        message = "no Chromium: the explorer was NOT tested in a browser (apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        warnings.warn(message, stacklevel=1)
        pytest.skip(message)
    if os.environ.get("CI") == "true":
        import playwright.sync_api as playwright
    else:
        playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Strayed(AssertionError):
    """The page asked something of another machine."""


@pytest.fixture
def open_page(chromium, server):
    """Opens pages; fails the test where a page errs, or asks anything of any address but its own."""
    contexts, complaints = [], []

    def opened(
        fragment="", *, at=None, bypass_csp=False, width=1280, height=800, dark=False, ready=True, **more
    ):
        at = at or server
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            bypass_csp=bypass_csp,
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: message.type == "error" and complaints.append(f"console: {message.text}"),
        )
        for event in ("request", "websocket"):
            page.on(event, lambda request: _stays(request.url, at.port, complaints))
        page.goto(at.address)
        if fragment:
            page.goto(f"{at.origin}/{fragment}")
            page.reload()
        if ready:
            page.wait_for_selector("[data-screen]")
        return page

    yield opened
    for context in contexts:
        context.close()
    # A server that the test itself ended refuses what a page still asks.
    assert not [text for text in complaints if "ERR_CONNECTION_REFUSED" not in text], complaints


def _stays(url, port, complaints):
    if not re.match(rf"(http|ws)://127\.0\.0\.1:{port}/|data:|blob:", url):
        complaints.append(f"a request left the machine: {url}")
