"""`nearfield trial` as a user runs it: the commands, and two real models in an editor's server."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.e2e.process import PATIENT
from tests.e2e.test_cli import Shell, check
from tests.unit.catalog import gguf_files

from nearfield.features.metrics.store import RecordStore
from nearfield.features.trial.trial import Trial, kept_trial, read_mark
from nearfield.testing import start

PATIENCE_SECONDS = 240.0
DAY_SECONDS = 86_400


class TrialShell(Shell):
    """A shell with data of its own, whose completions are served by the file `one`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder)
        self.data = folder / "data"
        self.environ["NEARFIELD_DATA_DIR"] = str(self.data)
        self.one, self.two = folder / "one.gguf", folder / "two.gguf"
        self.settings(tomli_w.dumps({"models": {"complete": str(self.one)}, **settings}))


def test_a_trial_from_start_to_adoption(tmp_path: Path) -> None:
    shell = TrialShell(tmp_path)
    for path in (shell.one, shell.two):
        path.write_bytes(gguf_files.model())
    check(shell.run("trial", "status"), 1, error="There is no trial.")
    check(shell.run("trial", "end"), 1, error="No trial runs.")
    check(shell.run("trial", "start", "chat", str(shell.two)), 2, error="of the role complete")

    begun = shell.run("trial", "start", "complete", str(shell.two), "--against", str(shell.one))
    check(begun, 0, "two takes turns with one at completions")
    check(shell.run("trial", "start", "complete", str(shell.two)), 2, error="runs already")
    assert (shell.data / "trial.json").stat().st_mode & 0o777 == 0o600

    status = check(shell.run("trial", "status"), 0, "Not enough yet: 0 and 0 document-days")
    assert "It goes on for up to 28 days." in status.stdout
    value = json.loads(shell.run("trial", "status", "--json").stdout)
    assert [arm["model"] for arm in value["arms"]] == ["one", "two"]
    assert "seed" not in value["trial"]
    check(shell.run("trial", "adopt"), 2, error="None is known to be better.")

    check(shell.run("trial", "end"), 0, "The trial has ended.")
    check(shell.run("trial", "status"), 0, "It has ended. You ended it.")
    check(shell.run("trial", "adopt", "two"), 0, f"Completions are served by {shell.two}")
    assert f'complete = "{shell.two}"' in (shell.config / "config.toml").read_text()


@pytest.mark.model
def test_two_real_models_take_turns_in_one_server(
    tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = TrialShell(tmp_path, completion=PATIENT, index={"enabled": False})
    for path in (shell.one, shell.two):
        path.symlink_to(small_model)
    check(shell.run("trial", "start", "complete", str(shell.two)), 0)
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(shell.data))
    trial = kept_trial()
    assert trial is not None
    folder = tmp_path / "work"
    folder.mkdir()
    with start(folder, environ=shell.environ, patience_s=PATIENCE_SECONDS) as editor:
        for arm, provider in ((0, "embedded"), (1, "embedded_trial")):
            buffer = editor.open(_name(trial, folder, arm), "def add(a, b):\n    return a\n")
            buffer.go_behind("return a")
            end = time.monotonic() + PATIENCE_SECONDS
            # The second model is loaded while the user rests; until then the first answers.
            while True:
                buffer.suggest()
                [last] = editor.request("nearfield/trace", {"last": 1})
                if last["provider"] == provider:
                    break
                assert time.monotonic() < end, last
                editor.connection.rest(0.5)
                buffer.type("b")
            assert last["model"] == ("one", "two")[arm]
    rows = RecordStore().rows_of_trial(trial.id)
    arms = {(read_mark(row.trial, trial), row.model) for row in rows}
    assert {(mark.arm, model) for mark, model in arms if mark} >= {(0, "one"), (1, "two")}


def _name(trial: Trial, folder: Path, arm: int) -> str:
    """A file that the arm serves today, and tomorrow, which may begin meanwhile."""
    now = time.time()
    for name in (f"m{number}.py" for number in range(100)):
        uri = (folder / name).as_uri()
        if trial.arm(uri, now) == trial.arm(uri, now + DAY_SECONDS) == arm:
            return name
    raise AssertionError("no such file")
