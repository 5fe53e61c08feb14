"""The explorer in a browser: work for each move of a finger, first picture, learning-rate strip, landscape, size.

Work is the time from the pointer's event to the changed page, by `performance.now()` in the page; what the screen then
takes to show it is the browser's. The slow function sleeps 50 ms at every call and cannot be traced.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MOVES = 240
FRAME = 1 / 60
PAGE = Path(__file__).parents[1] / "src" / "steepest" / "explorer" / "page"
ROSENBROCK = "(1-x)**2+100*(y-x**2)**2"

SLOW = """
import time
import numpy as np
def cost(x):
    time.sleep(0.05)
    return float(x) ** 2 - 2 * float(x) + 3
"""

LISTEN = """() => {
    window.took = [];
    let began = 0;
    addEventListener('pointermove', () => { began = performance.now(); }, true);
    const seen = () => { if (began) { window.took.push(performance.now() - began); began = 0; } };
    new MutationObserver(seen).observe(document.querySelector('[role=slider]'), {attributes: true, subtree: true});
}"""


def table(peers: bool) -> tuple[list[str], list[list[object]], str]:
    """Each figure beside the bound it is to stay below."""
    rows: list[list[object]] = [
        ["bundle, kB minified", (PAGE / "explorer.js").stat().st_size / 1e3, "", 150],
        ["61 rates × 5 methods × 200 steps, ms", *_repeated(_strip()), 50],
        ["landscape 200 × 200 of a NumPy function, ms, after the first", *_repeated(_landscape()), 100],
    ]
    note = f"{MOVES} moves at 60 a second; median, and the 95th percentile (of the rest: the slowest of 9)."
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if browser is None:
        return ["what", "median", "p95", "bound"], rows, note + " No Chromium here: nothing was dragged."
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "slow.py").write_text(SLOW)
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        rows += [
            ["drag on screen 2, ms of work", *_drag(chromium, [], ""), 4],
            ["drag on screen 5, ms of work", *_drag(chromium, [ROSENBROCK, "--start", "-1.2,1"], ""), 4],
            [
                "drag on screen 2 while the function takes 50 ms",
                *_drag(chromium, ["slow.py:cost"], folder),
                4,
            ],
            ["first picture after the command, ms", *_first_pictures(chromium), 1000],
        ]
        chromium.close()
    return ["what", "median", "p95", "bound"], rows, note


def _repeated(work: Callable[[], Any]) -> tuple[float, float]:
    work()
    taken = []
    for _ in range(9):
        began = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - began))
    return float(np.median(taken)), max(taken)


def _strip() -> Callable[[], Any]:
    from steepest.explorer.subject import Subject
    from steepest.explorer.walks import walk_all

    subject = Subject("x**2 - 2*x + 3", 3.0)
    return lambda: walk_all(subject, subject.start)


def _landscape() -> Callable[[], Any]:
    from steepest.explorer.landscape import heights
    from steepest.explorer.subject import Subject

    def cost(x: Any) -> Any:
        return np.sum((1 - x[:-1]) ** 2 + 100 * (x[1:] - x[:-1] ** 2) ** 2) + np.sin(x[0])

    subject = Subject(cost, np.array([-1.2, 1.0]))
    return lambda: heights(subject, subject.start, (0, 1), (-2, 2, -1, 3), (200, 200))


def _serve(arguments: list[str], folder: str) -> tuple[subprocess.Popen[str], str]:
    program = "import sys; from steepest.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "explore", "--no-open", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder or None,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _drag(chromium: Any, arguments: list[str], folder: str) -> tuple[float, float]:
    process, address = _serve(arguments, folder)
    try:
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.wait_for_selector("[role=slider]", timeout=120_000)
        page.wait_for_timeout(3_000)  # what the page asks for at first is answered
        box = page.locator("[role=slider] .dot").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.evaluate(LISTEN)
        for move in range(MOVES):
            page.mouse.move(x + 150 * np.sin(move / 20), y - 40 * np.sin(move / 13))
            time.sleep(FRAME)
        page.mouse.up()
        took = page.evaluate("window.took")
        page.close()
    finally:
        process.terminate()
        process.wait()
    return float(np.median(took)), float(np.quantile(took, 0.95))


def _first_pictures(chromium: Any) -> tuple[float, float]:
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        process, address = _serve([], "")
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.wait_for_selector("path.curve")
        taken.append(1e3 * (time.perf_counter() - began))
        page.close()
        process.terminate()
        process.wait()
    return float(np.median(taken)), max(taken)
