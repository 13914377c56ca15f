"""`nearfield panel`, a real process, beside real servers of editors: seen, told, and forgotten."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.prepared import forked
from tests.e2e.process import PATIENCE_SECONDS, script
from tests.e2e.wiring import StartWire

ANSWERS = [
    {"match": "slow = $", "text": "1", "hang": True},
    {"match": r"def add\(a, b\):\s*$", "text": "return a + b\n"},
]
EVIL = "<img src=x onerror=alert(1)>\x1b]0;x\x07"


@dataclass
class RunningPanel:
    process: subprocess.Popen[str]
    address: str
    client: httpx.Client

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **body: Any) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def servers(self) -> list[dict[str, Any]]:
        """The servers, once each has answered: a busy machine may not let it in time."""
        found: list[dict[str, Any]] = []

        def have_answered() -> bool:
            found[:] = self.get("now")["servers"]
            return not any(one.get("error") for one in found)

        until(have_answered)
        return found


@pytest.fixture
def panel(environ: dict[str, str]) -> Iterator[RunningPanel]:
    process = subprocess.Popen(
        forked("panel", "--no-open", "--json"),
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    address, _, fragment = said["address"].partition("#")
    token = fragment.removeprefix("token=")
    client = httpx.Client(
        base_url=f"{address}api/",
        headers={"authorization": f"Bearer {token}"},
        timeout=PATIENCE_SECONDS,
    )
    yield RunningPanel(process, address, client)
    client.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    process.stdout.close()


def until(condition: Callable[[], object]) -> None:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < PATIENCE_SECONDS
        time.sleep(0.05)


def test_two_windows_are_shown_paused_and_forgotten(
    panel: RunningPanel, wire: StartWire, tmp_path: Path
) -> None:
    assert panel.servers() == []
    windows = [wire("--stdio"), wire("--stdio")]
    for number, window in enumerate(windows):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        window.initialize(script(ANSWERS), clientInfo={"name": EVIL}, rootUri=folder.as_uri())
    until(lambda: [one.get("state") for one in panel.servers()] == ["ready", "ready"])
    first, second = panel.servers()
    assert (first["client"], first["kind"]) == (EVIL.lower(), "editor")
    assert {first["workspace"], second["workspace"]} == {str(tmp_path / "0"), str(tmp_path / "1")}
    told = panel.post("now/pause", server=first["id"])
    assert told == {"servers": [first["id"]]}
    assert [one["paused"] for one in panel.servers()] == [True, False]
    assert len(panel.post("now/resume", server="")["servers"]) == 2
    # One is killed, and what it has left is removed.
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: [one["id"] for one in panel.servers()] == [second["id"]])


def test_a_request_that_hangs_is_cancelled_and_shown_as_that(
    panel: RunningPanel, wire: StartWire
) -> None:
    window = wire("--stdio")
    window.initialize(script(ANSWERS))
    until(lambda: [one.get("state") for one in panel.servers()] == ["ready"])
    window.request_ghost(window.open("slow = "), 0, 7)

    def running() -> list[dict[str, Any]]:
        (server,) = panel.servers()
        return [one for one in server["running"] if one["task"] == "complete"]

    until(running)
    (server,) = panel.servers()
    (request,) = running()
    assert panel.post("now/cancel", server=server["id"], request=request["id"])["cancelled"]
    until(lambda: not running())
    until(lambda: panel.servers()[0]["requests"])
    assert panel.servers()[0]["requests"][0]["reason"] == "stopped"


def test_changes_are_told_while_a_page_listens(panel: RunningPanel) -> None:
    with panel.client.stream("GET", "events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        kinds: list[str] = []
        while "changed" not in kinds:
            line = next(lines)
            kinds += [line.removeprefix("event: ")] if line.startswith("event: ") else []
            if "now" in kinds:
                panel.post("settings/set", key="log.level", value="error")
    assert kinds[:2] == ["hello", "now"]


def test_no_token_is_printed_but_in_the_address_and_none_is_logged(
    environ: dict[str, str],
) -> None:
    process = subprocess.Popen(
        forked("panel", "--no-open"),
        env={**environ, "NEARFIELD_HTTP_TOKEN": "a-token-of-this-test"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.endswith("/panel/#token=a-token-of-this-test")
    base = address.partition("#")[0]
    for path in ("api/now", "api/nothing", "nothing"):
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(base + path, headers={"authorization": "Bearer a-token-of-this-test"})
            httpx.get(base + path, headers={"host": "evil.test"})
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert "a-token-of-this-test" not in out + err
