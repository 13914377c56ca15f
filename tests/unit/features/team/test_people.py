"""People and their tokens: what is kept, and who is found."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nearfield.errors import ConfigError
from nearfield.features.team import people as people_module
from nearfield.features.team.people import DAY, FILE, People


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "team")


def test_a_token_finds_its_person_and_is_not_kept(people: People) -> None:
    value, token = people.add("ada", "developer")
    other, _ = people.add("bob", "intern")
    file = people.folder / FILE
    found = people.find(value)
    assert found is not None
    assert (found.name, found.role) == ("ada", "developer")
    kept = file.read_text()
    assert value not in kept
    assert other not in kept
    assert token.sha256 in kept
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("shown", ["", "nft_", "ü", "x" * 1000])
def test_what_is_no_token_finds_nobody(people: People, shown: str) -> None:
    people.add("ada", "developer")
    assert people.find(shown) is None


def test_a_revoked_token_is_refused_by_a_server_that_runs(people: People) -> None:
    first, token = people.add("ada", "developer")
    second, _ = people.add("ada", "developer")
    running = People(people.folder)
    assert running.find(first) is not None
    assert people.revoke("ada", token.id) == 1
    assert running.find(first) is None
    assert running.find(second) is not None
    assert people.revoke("ada") == 1
    assert running.find(second) is None
    assert not running.all().people


def test_a_token_ends(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    value, token = people.add("ada", "developer", days=2)
    assert people.find(value) is not None
    monkeypatch.setattr(people_module.time, "time", lambda: token.made + 2 * DAY + 1)
    assert people.find(value) is None


@pytest.mark.parametrize("name", ["", "Ada", "../x", "a b", "-a", "a" * 41, "a\n"])
def test_a_name_is_plain(people: People, name: str) -> None:
    with pytest.raises(ConfigError, match="no name"):
        people.add(name, "developer")


def test_nobody_and_no_token_to_revoke_is_said(people: People) -> None:
    with pytest.raises(ConfigError, match="No 'ada' here"):
        people.revoke("ada")
    people.add("ada", "developer")
    with pytest.raises(ConfigError, match="no token 'x'"):
        people.revoke("ada", "x")


@pytest.mark.skipif(os.name == "nt", reason="modes are not used there")
def test_a_file_that_others_may_write_lets_nobody_in(people: People) -> None:
    value, _ = people.add("ada", "developer")
    (people.folder / FILE).chmod(0o666)
    assert people.find(value) is None
    with pytest.raises(ConfigError, match="only you can write"):
        people.all()


def test_keys_of_names_are_alike_for_no_two_and_tell_no_name(people: People) -> None:
    people.add("ada", "developer")
    assert people.key("ada") == people.key("ada") != people.key("bob")
    assert "ada" not in people.key("ada")
