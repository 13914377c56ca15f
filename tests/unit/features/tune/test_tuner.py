"""Who may be tuned, when it is quiet, and what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.errors import ConfigError, NotReady
from nearfield.features.comparison import ModelScore, ScorePair, sign_test
from nearfield.features.tune import tuner
from nearfield.features.tune.tuner import Quiet, default_name, is_better, require_name
from nearfield.routing.pause import UserPause


@pytest.mark.parametrize(
    ("only_base", "only_tuned", "kept"),
    [(0, 0, False), (0, 5, False), (0, 6, True), (6, 0, False), (4, 12, False), (4, 15, True)],
)
def test_only_what_is_better_by_more_than_chance_is_kept(
    only_base: int, only_tuned: int, kept: bool
) -> None:
    score = ModelScore("m", 100, 0, 0.0, 0.0, 1.0, None, None, None)
    pair = ScorePair("h", (score, score), only_base, only_tuned, sign_test(only_base, only_tuned))
    assert is_better(pair) is kept


def test_it_is_quiet_on_battery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuner, "is_on_battery", lambda: True)
    with pytest.raises(NotReady, match="battery"):
        Quiet(False).check()
    Quiet(True).check()
    monkeypatch.setattr(tuner, "is_on_battery", lambda: False)
    Quiet(False).check()


def test_it_is_quiet_while_the_user_has_paused() -> None:
    pause = UserPause()
    pause.pause_all()
    try:
        with pytest.raises(NotReady, match="paused"):
            Quiet(True).check()
    finally:
        pause.resume_all()


@pytest.mark.parametrize(
    ("folder", "name"),
    [("shop", "m-shop"), ("my shop (2)", "m-my-shop-2"), ("...", "m-code"), ("-x", "m-x"),
     ("MyShop", "m-myshop"), ("Größe", "m-gr-e"), ("x" * 200, "m-" + "x" * 98)],
)  # fmt: skip
def test_the_name_says_what_it_was_tuned_to(tmp_path: Path, folder: str, name: str) -> None:
    assert default_name("m", tmp_path / folder) == name
    require_name(name)


@pytest.mark.parametrize("name", ["", "MyModel", "größe", "../m", "a b", ".m", "m" * 101])
def test_a_name_that_the_catalogue_does_not_take_is_refused_first(name: str) -> None:
    with pytest.raises(ConfigError, match="small letters"):
        require_name(name)
