"""Which model serves a role: what is written, and who is asked then."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.catalog import gguf_files

from nearfield.config.load import load
from nearfield.errors import ConfigError, UnknownModel
from nearfield.features.role_models import let_serve

SETTINGS = """
# mine
[routing.roles]
code = ["ollama", "embedded"]

[providers.ollama]
kind = "ollama"
model = "qwen2.5-coder:7b"

[providers.bare]
kind = "ollama"

[providers.claude]
kind = "anthropic"
model = "claude-sonnet-5"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEARFIELD_CONFIG_DIR", str(tmp_path))
    (tmp_path / "config.toml").write_text(SETTINGS)
    path = tmp_path / "own.gguf"
    path.write_bytes(gguf_files.model())
    return path


TABLE = [
    ("complete", "ollama", {"complete": ["ollama", "embedded"]}),
    ("complete", "ollama/a:1b", {"complete": ["ollama/a:1b", "embedded", "ollama"]}),
    ("code", "ollama/a:1b", {"code": ["ollama/a:1b", "ollama", "embedded"]}),
    ("review", "claude", {"review": ["claude", "embedded", "ollama"]}),
    ("large", "FILE", {"large": ["embedded/FILE", "embedded", "ollama", "claude"]}),
    ("code", "FILE", {"code": ["embedded/FILE", "ollama", "embedded"]}),
    ("code", "auto", {"code": None}),
    ("chat", "FILE", {"code": ["embedded", "ollama"], "fast": None}),
    (
        "chat",
        "ollama",
        {
            "code": ["ollama", "embedded"],
            **{role: ["ollama", "embedded", "claude"] for role in ("fast", "review")},
        },
    ),
]


@pytest.mark.parametrize(("role", "wish", "roles"), TABLE)
def test_a_role_is_served_by(
    role: str, wish: str, roles: dict[str, list[str] | None], file: Path
) -> None:
    now = let_serve(role, wish.replace("FILE", str(file)))
    assert now.outside is (wish == "claude") and not now.missing
    loaded = load()
    assert loaded.problems == ()
    for name, expected in roles.items():
        said = expected and [one.replace("FILE", str(file)) for one in expected]
        assert loaded.config.routing.roles.get(name) == said
    assert loaded.config.models.chat == (str(file) if (role, wish) == ("chat", "FILE") else "")
    assert "# mine" in (file.parent / "config.toml").read_text()


def test_a_role_that_nobody_serves_gets_no_more_than_what_is_wanted(file: Path) -> None:
    config = file.parent / "config.toml"
    config.write_text(SETTINGS.replace("code =", "review = []\ncomplete = []\ncode ="))
    let_serve("complete", "auto")
    let_serve("review", "claude")
    roles = load().config.routing.roles
    assert (roles["complete"], roles["review"]) == (["embedded"], ["claude"])


def test_a_variant_of_a_provider_is_asked_only_where_it_is_named(file: Path) -> None:
    config = file.parent / "config.toml"
    config.write_text(f'{SETTINGS}\n[providers."claude/own"]\nkind = "anthropic"\nmodel = "m"\n')
    let_serve("review", "ollama")
    assert load().config.routing.roles["review"] == ["ollama", "embedded", "claude"]


def test_a_provider_whose_name_has_a_slash_is_meant_by_it(file: Path) -> None:
    config = file.parent / "config.toml"
    config.write_text(f'{SETTINGS}\n[providers."far/own"]\nkind = "anthropic"\nmodel = "m"\n')
    now = let_serve("review", "far/own")
    assert now.outside
    assert load().config.routing.roles["review"][0] == "far/own"


@pytest.mark.parametrize(
    ("role", "wish", "error", "said"),
    [
        ("cook", "ollama", ConfigError, "no role 'cook'"),
        ("code", "nosuch", UnknownModel, "Your providers are: ollama, bare, claude"),
        ("code", "bare", ConfigError, "bare has no model"),
        ("code", __file__, ConfigError, "GGUF"),
        ("code", "x" * 5000, UnknownModel, "no model called"),
        ("code", "~nobody-here/x.gguf", UnknownModel, "no model called"),
        ("code", "ollama/", UnknownModel, "names no model"),
        ("code", "ollama/a\nb", UnknownModel, "names no model"),
        ("code", "ollama/\x1b[31m", UnknownModel, "ollama/␛.31m names no model"),
    ],
)
def test_what_cannot_serve_is_refused(
    role: str, wish: str, error: type[Exception], said: str, file: Path
) -> None:
    with pytest.raises(error, match=said):
        let_serve(role, wish)
    assert (file.parent / "config.toml").read_text() == SETTINGS
