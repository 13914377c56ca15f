"""The cases and the holes of a history: split by time, without secrets, as the product asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.repository import git, make_repository

from nearfield.errors import ConfigError
from nearfield.features.holes import CodeHole
from nearfield.features.tune.dataset import TuneData, gather
from nearfield.features.tune.history import History

COMMITS = 60
NEWEST = "COMMIT_59"


def body(number: int) -> str:
    return (
        f"def compute_{number}(left, right):\n"
        f"    total = left * {number} + right\n"
        f"    return total - COMMIT_{number}\n"
    )


def history(folder: Path, extra: str = "") -> History:
    """A repository whose commits add a function each, to one of six files."""
    made = make_repository(folder, {"m0.py": "import math\n" + extra})
    for number in range(COMMITS):
        file = made / f"m{number % 6}.py"
        before = file.read_text() if file.exists() else "import math\n"
        file.write_text(f"{before}\n\n{body(number)}")
        git(made, "add", ".")
        git(made, "commit", "-q", "-m", str(number))
    return History(made)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TuneData:
    return gather(history(tmp_path_factory.mktemp("h") / "r"), 200, 0)


def test_the_newest_commits_are_held_out(data: TuneData) -> None:
    held = {number for number in range(COMMITS) if _is_in(number, data.holes)}
    assert NEWEST in "".join(hole.prefix + hole.rest + hole.suffix for hole in data.holes)
    assert held == set(range(COMMITS - data.held_out_commits, COMMITS))
    # No case has a line of a held-out commit, neither to be written nor around it.
    seen = "".join(case.prefix + case.middle + case.suffix for case in data.cases)
    assert not [number for number in held if f"COMMIT_{number}\n" in seen]
    assert data.held_out_commits + len({case.path for case in data.cases}) < data.commits
    assert len(data.holes) <= 0.25 * (len(data.holes) + len(data.cases) * 2)


def _is_in(number: int, holes: Sequence[CodeHole]) -> bool:
    """Whether a hole is in a line of that commit."""
    written = f"compute_{number}(", f"* {number} +", f"COMMIT_{number}\n"
    lines = [f"{hole.typed}{hole.rest}\n" for hole in holes]
    return any(name in line for line in lines for name in written)


def test_a_case_is_a_request_and_its_answer(data: TuneData) -> None:
    for number, case in enumerate(data.cases):
        request = case.request(number)
        assert case.prefix.endswith(request.typed)
        assert "\n" not in request.typed
        assert case.suffix.startswith("\n")
        assert case.middle.strip()
        assert request.patient is bool(number % 2)
    assert len({case.key for case in data.cases}) == len(data.cases)
    assert any(not case.request(0).typed.strip() for case in data.cases)
    assert any(case.request(0).typed.strip() for case in data.cases)


def test_what_may_hold_a_secret_is_left_out(tmp_path: Path) -> None:
    token = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"
    found = gather(history(tmp_path / "r", f'TOKEN = "{token}"\n'), 200, 0)
    texts = [case.prefix + case.middle + case.suffix for case in found.cases]
    texts += [hole.prefix + hole.rest + hole.suffix for hole in found.holes]
    assert not [text for text in texts if token in text]
    assert found.secret


def test_a_short_history_is_refused(tmp_path: Path) -> None:
    made = make_repository(tmp_path / "r", {"a.py": body(1)})
    with pytest.raises(ConfigError, match="too little code"):
        gather(History(made), 200, 0)
