"""The user's own files are changed as little as possible and never destroyed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.catalog.gguf_files import model

from nearfield.catalog import user
from nearfield.catalog.models import Catalog, HubSource, PathSource, user_catalogue_file
from nearfield.catalog.registration import registration
from nearfield.config.paths import user_config_file
from nearfield.errors import ConfigError


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[models]\ncomplete = "m"\n'),
        ("[log]\nlevel = 'info'", "[log]\nlevel = 'info'\n\n[models]\ncomplete = \"m\"\n"),
        (
            "# Mine.\n[models] # which\n  complete = 'x' # old\nchat = 'y'\n\n[log]\n",
            "# Mine.\n[models] # which\n  complete = \"m\" # old\nchat = 'y'\n\n[log]\n",
        ),
        ("[models]", '[models]\ncomplete = "m"\n'),
        (
            "[models]\nchat = 'y'\n[a]\nb = 1\n",
            "[models]\nchat = 'y'\ncomplete = \"m\"\n[a]\nb = 1\n",
        ),
    ],
)
def test_use_changes_one_line(environ: dict[str, str], before: str, after: str) -> None:
    path = user_config_file(environ)
    path.parent.mkdir(parents=True)
    path.write_text(before, encoding="utf-8")
    assert user.use("complete", "m", environ) == path
    assert path.read_text(encoding="utf-8") == after


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_both_files_may_begin_with_a_byte_order_mark(
    environ: dict[str, str], encoding: str
) -> None:
    path = user_config_file(environ)
    path.parent.mkdir(parents=True)
    path.write_text("[log]\nlevel = 'info'\n", encoding)
    user.use("complete", "m", environ)
    found = tomllib.loads(path.read_text("utf-8-sig"))
    assert found == {"models": {"complete": "m"}, "log": {"level": "info"}}
    user_catalogue_file(environ).write_text("[models.m]\nnonsense = 1\n", encoding)
    (problem,) = Catalog.load(environ).problems
    assert "models.m" in problem and "cannot be read" not in problem


@pytest.mark.parametrize(
    "before",
    [
        "models = { complete = 'x', chat = 'y' }\nother = 1\n",
        "models.complete = 'x'\nmodels.chat = 'y'\nother = 1\n",
        "other = 1\n[models]\n'complete' = 'x'\nchat = 'y'\n",
        "other = 1\n[models]\ncomplete = '''\nx\n'''\nchat = 'y'\n",
    ],
)
def test_use_keeps_every_other_key_however_it_is_written(
    environ: dict[str, str], before: str
) -> None:
    path = user_config_file(environ)
    path.parent.mkdir(parents=True)
    path.write_text(before, encoding="utf-8")
    user.use("complete", "m", environ)
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    assert found == {"models": {"complete": "m", "chat": "y"}, "other": 1}


@given(name=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_is_written_so_that_it_is_read_again(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    environ = {"NEARFIELD_CONFIG_DIR": str(tmp_path_factory.mktemp("config"))}
    path = user.use("complete", "first", environ)
    user.use("complete", name, environ)
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {"models": {"complete": name}}


@pytest.mark.parametrize("broken", [b"[models", b"\xff", b"models = 3\n"])
def test_a_file_that_cannot_be_read_is_left_alone(environ: dict[str, str], broken: bytes) -> None:
    path = user_config_file(environ)
    path.parent.mkdir(parents=True)
    path.write_bytes(broken)
    with pytest.raises(ConfigError, match="Correct it first"):
        user.use("complete", "m", environ)
    assert path.read_bytes() == broken


def test_an_unknown_role_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="complete, edit, chat"):
        user.use("cook", "m", environ)
    assert not user_config_file(environ).exists()


def test_register_and_unregister(environ: dict[str, str], tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(model())
    path = user_catalogue_file(environ)
    for name in ("one", "two"):
        user.register(registration(name, str(own), None, {"licence": "MIT"}), environ)
    path.write_text("# Mine.\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    user.register(registration("three", "me/it/sub/m.gguf", None, {"roles": ["chat"]}), environ)
    assert path.read_text(encoding="utf-8").startswith("# Mine.\n")
    catalog = Catalog.load(environ)
    assert catalog.problems == ()
    assert catalog.local_path("one") == own
    assert catalog.get("two").licence == "MIT"
    assert catalog.get("three").sources == [HubSource("me/it", "sub/m.gguf")]
    assert catalog.get("three").roles == ["chat"]
    assert user.unregister("two", environ)
    assert not user.unregister("two", environ)
    assert "two" not in Catalog.load(environ).entries
    assert "one" in Catalog.load(environ).entries


def test_a_known_model_from_a_file_keeps_what_is_known(
    environ: dict[str, str], tmp_path: Path
) -> None:
    own = tmp_path / "fetched.gguf"
    own.write_bytes(model())
    known = Catalog.load(environ).get("qwen2.5-coder-0.5b-instruct")
    entry = registration(known.name, str(own), known, {})
    assert entry.sources == [PathSource(str(own))]
    assert (entry.sha256, entry.fim, entry.file) == (known.sha256, known.fim, known.file)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("me/it/m.gguf", HubSource("me/it", "m.gguf")),
        ("https://hub.example/me/it/resolve/v1/q/m.gguf", HubSource("me/it", "q/m.gguf", "v1")),
        ("https://hub.example/me/it/blob/main/m%20x.GGUF?a=1", HubSource("me/it", "m x.GGUF")),
        ("https://hub.example/elsewhere/m.gguf", "neither a file"),
        ("https://hub.example/me/it/resolve/main/../../m.gguf", "leads out of a repository"),
        ("me/it/../../m.gguf", "leads out of a repository"),
        ("../it/m.gguf", "leads out of a repository"),
        ("me/it", "neither a file"),
        ("/no/such/m.gguf", "neither a file"),
    ],
)
def test_a_source_is_a_hub_file_or_a_path(source: str, expected: HubSource | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(ConfigError, match=expected):
            registration("x", source, None, {})
    else:
        assert registration("x", source, None, {}).sources == [expected]


@pytest.mark.parametrize("stated", [{"sha256": "abc"}, {"context": "many"}])
def test_wrong_values_are_refused(stated: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="cannot be added"):
        registration("x", "me/it/m.gguf", None, stated)


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(b"\x10\x00")
    with pytest.raises(ConfigError, match="not a GGUF file"):
        registration("x", str(tmp_path / "m.safetensors"), None, {})
