"""A user's home for the tests of the control panel: settings, data, the servers of editors, and the
panel's own."""

from __future__ import annotations

import json
import subprocess
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import tomli_w
from tests.e2e.prepared import forked
from tests.e2e.process import PATIENCE_SECONDS, environment
from tests.e2e.wiring import Wire
from tests.unit.catalog.gguf_files import model

from nearfield.features.metrics.store import RecordStore
from nearfield.features.suggestion_record import SuggestionRecord, Taken

DAY_SECONDS = 86_400
HOSTILE = "<b onmouseover=alert(1)>\u202etxt"
ANSWERS = [
    {"match": r"def add\(a, b\):\s*$", "text": "return a + b\n"},
    {"match": "slowly", "text": "word ", "hang": True},
    {"match": "", "text": "The total is rounded down."},
]
BILLING = '''"""Bills."""


def round_bill(total: float) -> float:
    """Round a bill down to whole cents."""
    return int(total * 100) / 100
'''

CONTENT = model() + bytes(range(256)) * 4000
"""A GGUF file of a megabyte, which no engine could load."""


def record_suggestions(data: Path, count: int, **cycled: Sequence[Any]) -> None:
    """Record suggestions of 28 days, each fourth taken; the fields `cycled` take their values in
    turn."""
    now = time.time()
    with closing(RecordStore(data / "suggestions.db")) as store:
        store.save(
            [
                SuggestionRecord(
                    at=now - 28 * DAY_SECONDS * (1 - number / count) - 600,
                    method="textDocument/inlineCompletion",
                    ms=number % 700,
                    confidence=-(number % 100) / 40,
                    chars=20,
                    taken=Taken.ACCEPTED if number % 4 == 0 else Taken.SHOWN,
                    saved=20 if number % 4 == 0 else 0,
                    **{name: values[number % len(values)] for name, values in cycled.items()},
                )
                for number in range(count)
            ]
        )


class Home:
    """A user's settings and data, the servers of editors, and the panel's."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.environ = environment(folder / "home") | {
            "NEARFIELD_CACHE_DIR": str(folder / "cache"),
            "NEARFIELD_DATA_DIR": str(folder / "data"),
            **variables,
        }
        self.data = folder / "data"
        self.config = Path(self.environ["NEARFIELD_CONFIG_DIR"]) / "config.toml"
        self.config.parent.mkdir(parents=True)
        self.work = folder / "shop"
        self.work.mkdir()
        (self.work / "billing.py").write_text(BILLING)
        roles = {role: ["fake"] for role in ("complete", "code", "chat")}
        self.configure(
            {
                "providers": {"fake": {"kind": "scripted", "options": {"answers": ANSWERS}}},
                "routing": {"roles": roles},
                "engine": {"enabled": False},
            }
        )
        self.processes: list[subprocess.Popen[str]] = []
        self.wires: list[Wire] = []

    def configure(self, settings: Mapping[str, Any]) -> None:
        self.config.write_bytes(tomli_w.dumps(settings).encode())

    def settings(self) -> dict[str, Any]:
        return tomllib.loads(self.config.read_text(encoding="utf-8"))

    def panel(self, port: int = 0) -> str:
        """Start `nearfield panel`; returns its address with the token."""
        command = forked("panel", "--no-open", "--json")
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        assert process.stdout
        return str(json.loads(process.stdout.readline())["address"])

    def stop_panel(self) -> None:
        process = self.processes.pop()
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        assert process.stdout
        process.stdout.close()

    def editor(self, folder: Path | None = None) -> Wire:
        """Start an editor's server on a folder."""
        root = folder or self.work
        wire = Wire(self.environ, "--stdio")
        self.wires.append(wire)
        wire.initialize(
            {},
            workspaceFolders=[{"uri": root.as_uri(), "name": root.name}],
            clientInfo={"name": "neovim"},
        )
        return wire

    def run(self, *arguments: str) -> Any:
        """Run a command; returns its JSON."""
        command = forked(*arguments, "--json")
        done = subprocess.run(
            command, env=self.environ, capture_output=True, text=True, timeout=PATIENCE_SECONDS * 2
        )
        return json.loads(done.stdout or "null")

    def end(self) -> None:
        for wire in self.wires:
            wire.end()
        while self.processes:
            self.stop_panel()


def until(condition: Callable[[], object]) -> None:
    """Wait until something has happened."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)
