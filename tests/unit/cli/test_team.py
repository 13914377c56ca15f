"""`nearfield team revoke`: what of a person stays is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.cli.team import revoke
from nearfield.config.schema import Chat
from nearfield.features.chat.kept_chats import KeptChats
from nearfield.features.chat.session import ChatSession, Exchange
from nearfield.features.team.people import People


def test_kept_chats_of_a_revoked_name_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NEARFIELD_DATA_DIR", str(tmp_path))
    people = People()
    for name in ("ada", "bob"):
        people.add(name, "developer")
    people.add("ada", "developer")
    kept = people.folder / "chats" / people.key("ada")
    KeptChats(kept).save(ChatSession("s", exchanges=[Exchange("q", "a")]), Chat(), Chat())
    first = people.all().people["ada"].tokens[0].id
    for name, token in (("ada", first), ("bob", "")):
        revoke(name, token)
        assert "Delete" not in capsys.readouterr().err
    revoke("ada", "")
    assert f"Delete {kept} before somebody else gets this name" in capsys.readouterr().err
