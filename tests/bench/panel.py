"""The control panel with 100,000 recorded suggestions: times of its requests, and the first paint.

    python -m tests.bench.panel [--records 100000] [--rounds 20]

A home of its own gets the records of 28 days and 2,000 requests in the ledger; no editor runs. Each
path of the API is asked `--rounds` times over HTTP, one after the other. Then Chromium opens the
page as often, at the view Suggestions, with an empty cache: the first paint, the first figure, and
the slowest request as the page sees it. The first lines are from while the records are still
being added to the sums, as at the first start after an update.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psutil
from playwright.sync_api import Browser
from tests.e2e.panel_browser import chromium, opened
from tests.e2e.panel_home import Home, record_suggestions

from nearfield.routing.ledger import Sending
from nearfield.routing.store import Store

READS = (
    *("now", "models", "routing", "settings", "suggestions", "suggestions?days=90", "index"),
    *("privacy", "chats", "health", "health/log", "jobs"),
)
DAY_SECONDS = 86_400
SENT = 2_000
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SLOWEST = """Math.max(...performance.getEntriesByType('resource')
    .filter(one => one.name.includes('/api/') && !one.name.endsWith('/events'))
    .map(one => one.responseEnd - one.requestStart))"""


def fill(home: Home, records: int) -> None:
    """Write the records and the ledger."""
    record_suggestions(
        home.data,
        records,
        language=("python", "rust", "go", "typescript"),
        situation=("typing", "invoked", "accepted"),
        model=("qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"),
        reason=("", "unsure", "late"),
    )
    ledger = Store(home.data / "nearfield.db")
    for number in range(SENT):
        files = ((f"src/{number % 50}.py", 1, 40),)
        about = ("claude", "claude-sonnet-5", "anthropic", "chat", files, 900, (), "0" * 64)
        entry = ledger.begin(Sending(str(home.work), *about))
        ledger.finish(entry, "answered", 1100, 210, Decimal("0.0064"))
    ledger.close()


def asked(address: str, rounds: int, pid: int) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the milliseconds of each path, and the mean of those that a processor worked for it:
    these are the same on a busy machine."""
    base, token = address.split("#token=")
    process = psutil.Process(pid)
    found: dict[str, list[float]] = {path: [] for path in READS}
    worked: dict[str, float] = {}
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        for path in READS:
            before = sum(process.cpu_times()[:2])
            for _ in range(rounds):
                begun = time.perf_counter()
                client.get(f"{base}api/{path}").raise_for_status()
                found[path].append(1000 * (time.perf_counter() - begun))
            worked[path] = 1000 * (sum(process.cpu_times()[:2]) - before) / rounds
    return found, worked


def painted(browser: Browser, address: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds until the first paint and the first figure, and those of the slowest
    request."""
    found: dict[str, list[float]] = {"first paint": [], "first figure": [], "slowest request": []}
    for _ in range(rounds):
        with opened(browser, f"{address}&view=suggestions") as panel:
            panel.page.locator("dd").first.wait_for()
            found["first figure"].append(float(panel.page.evaluate("performance.now()")))
            panel.page.locator("main [aria-busy=true]").first.wait_for(state="detached")
            found["first paint"].append(float(panel.page.evaluate(PAINT)))
            found["slowest request"].append(float(panel.page.evaluate(SLOWEST)))
    return found


def told(name: str, found: dict[str, list[float]], worked: dict[str, float] | None = None) -> None:
    """Print the median and the slowest of each, and the work where it is known."""
    print(f"\n{name}: median, slowest, work (ms)")
    for what, times in found.items():
        work = f"{worked[what]:7.0f}" if worked else ""
        print(f"  {what:20} {statistics.median(times):7.0f} {max(times):7.0f} {work}")


def behind(address: str) -> int:
    """Return how many records are not in the sums yet."""
    base, token = address.split("#token=")
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{base}api/suggestions", headers=headers, timeout=60)
    return int(json.loads(answer.text)["behind"])


def until(condition: Callable[[], Any]) -> float:
    """Wait until it holds; return the seconds."""
    begun = time.monotonic()
    while not condition():
        time.sleep(0.1)
    return time.monotonic() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    said = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        home = Home(Path(folder))
        try:
            fill(home, said.records)
            address = home.panel()
            pid = home.processes[-1].pid
            time.sleep(3)  # a browser takes that long to start
            told("while adding up, over HTTP", *asked(address, 1, pid))
            seconds = until(lambda: behind(address) == 0)
            print(f"\nadded up after {seconds:.1f} s more")
            told("over HTTP", *asked(address, said.rounds, pid))
            told("in Chromium", painted(browser, address, said.rounds))
        finally:
            home.end()


if __name__ == "__main__":
    main()
