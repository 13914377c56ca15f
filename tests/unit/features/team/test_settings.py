"""The file of a team."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearfield.errors import ConfigError
from nearfield.features.team.settings import read_team


def test_a_role_has_defaults_and_files_are_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "team.toml"
    file.write_text('[tls]\ncertificate = "a.crt"\nkey = "/k/a.key"\n[roles.developer]\n')
    found = read_team(file)
    assert found.roles["developer"].uses == ["complete", "chat", "embed", "chats"]
    assert found.tls.certificate == str(tmp_path / "a.crt")
    assert found.tls.key == str(Path("/k/a.key"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "roles"),
        ("[roles]", "no role"),
        ("[roles.x]\nuse = []", "unknown field `use`"),
        ('[roles.x]\nuses = ["root"]', "root"),
        ("[roles.x]\nat_once = 0", "at_once"),
        ("[roles.x]\nrequests_per_day = -1", "requests_per_day"),
        ('[roles.x]\n[tls]\nkey = "a"', "both"),
        ("[roles", "line 1"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "team.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_team(file)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file"):
        read_team(tmp_path / "team.toml")
