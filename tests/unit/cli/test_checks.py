"""What `doctor` makes of what it finds."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from nearfield.config.load import Loaded, SettingsProblem
from nearfield.config.schema import Config, Engine
from nearfield.features.doctor import checks
from nearfield.features.doctor.checks import State
from nearfield.providers import managed

NATIVE = "CPU : AVX2 = 1 | FMA = 1 | AVX512 = 1 | "
PLAIN = "CPU : AVX2 = 1 | FMA = 1 | "


@pytest.mark.parametrize(
    ("info", "gpu", "has_gpu", "flags", "state", "found"),
    [
        (NATIVE, False, False, {"avx2", "fma", "avx512f"}, State.OK, "AVX2, FMA, AVX512"),
        (PLAIN, False, False, {"avx2", "fma"}, State.OK, "AVX2, FMA"),
        (PLAIN, False, False, {"avx2", "fma", "avx512f"}, State.NOTE, "without AVX512"),
        (PLAIN, True, True, {"avx2"}, State.OK, "AVX2, GPU"),
        (PLAIN, False, True, {"avx2"}, State.NOTE, "without the GPU"),
        ("", False, False, set[str](), State.OK, "no special instructions"),
    ],
)
def test_a_build_slower_than_the_machine_is_noted(
    info: str, gpu: bool, has_gpu: bool, flags: set[str], state: State, found: str
) -> None:
    check = checks.build(info, gpu, has_gpu, frozenset(flags))
    assert (check.state, found in check.found) == (state, True)
    assert bool(check.todo) == (state is not State.OK)


def test_the_processor_s_flags_are_read(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("model name : x\nflags\t\t: fpu avx2\nflags : fma\n")
    assert checks.cpu_flags(cpuinfo) == {"fpu", "avx2", "fma"}
    assert checks.cpu_flags(tmp_path / "none") == frozenset()


def test_an_engine_that_is_turned_off_is_no_problem() -> None:
    assert checks.engine(Config(engine=Engine(enabled=False))).state is State.NOTE


def test_the_engine_check_names_the_engine_and_a_faster_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prebuilt = [managed.ServerProgram("xllamacpp", (), "the prebuilt wheel")]
    none: list[managed.ServerProgram] = []
    for compiled, programs, state, found, todo in (
        (True, prebuilt, State.OK, "compiled for this machine", ""),
        (False, prebuilt, State.NOTE, "xllamacpp (the prebuilt wheel)", "nearfield[local]"),
        (False, none, State.PROBLEM, "neither compiled nor prebuilt", "nearfield[prebuilt]"),
    ):
        monkeypatch.setattr("nearfield.engine.client.installed", partial(bool, compiled))
        monkeypatch.setattr(managed, "programs", partial(list, programs))
        check = checks.engine(Config())
        assert (check.state, found in check.found) == (state, True), check
        assert todo in check.todo
        assert bool(check.todo) == bool(todo)


def test_each_problem_of_the_settings_is_a_line(tmp_path: Path) -> None:
    problems = tuple(SettingsProblem("file", key, "wrong", "ignored") for key in ("a", "b"))
    found = list(checks.settings(Loaded(Config(), problems), tmp_path / "config.toml"))
    assert [(check.state, check.todo) for check in found] == [
        (State.PROBLEM, "Correct it in file.")
    ] * 2


def test_the_grammars_load() -> None:
    assert checks.grammars().state is State.OK


def test_editors_are_found_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checks.editors().state is State.NOTE
    (tmp_path / "hx").write_text("#!/bin/sh\n")
    (tmp_path / "hx").chmod(0o755)
    assert checks.editors().found == "Helix"
