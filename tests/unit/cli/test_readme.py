"""What the README and the pages beside it show works."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from nearfield.cli.main import COMMANDS
from nearfield.config.keys import Leaf, find
from nearfield.config.load import load
from nearfield.errors import CatalogError, ModelLoadFailed
from nearfield.providers.anthropic import AnthropicOptions
from nearfield.providers.managed import ManagedOptions
from nearfield.providers.ollama_wire import OllamaOptions
from nearfield.providers.openai_compatible import OpenAIOptions
from nearfield.providers.registry import build

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = "\n".join(page.read_text() for page in PAGES)
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_block_of_data_is_valid() -> None:
    assert len([json.loads(block) for block in blocks("json")]) >= 3
    assert len([tomllib.loads(block) for block in blocks("toml")]) >= 2


def test_the_example_of_the_settings_loads_without_a_problem(tmp_path: Path) -> None:
    (example,) = [block for block in blocks("toml") if "[completion]" in block]
    (tmp_path / "config.toml").write_text(example)
    loaded = load(None, None, {"NEARFIELD_CONFIG_DIR": str(tmp_path)})
    assert not loaded.problems
    assert loaded.config.completion.deadline_ms == 1500


@pytest.mark.parametrize("page", ["providers", "routing"])
def test_every_example_of_a_page_loads_and_its_providers_can_be_built(
    page: str, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert examples
    for example in examples:
        (tmp_path / "config.toml").write_text(example)
        loaded = load(None, None, {"NEARFIELD_CONFIG_DIR": str(tmp_path)})
        assert not loaded.problems
        for name, settings in loaded.config.providers.items():
            try:
                assert build(name, settings, environ={}).name == name
            except (CatalogError, ModelLoadFailed) as error:
                # These open their model; on this machine it is not.
                assert settings.kind in ("onnx", "openvino"), error.message
                assert re.search(r"is not (?:there|on this machine)", error.message)


def test_every_option_of_a_provider_is_on_its_page() -> None:
    page = (ROOT / "docs" / "providers.md").read_text()
    rows = re.findall(r"^\| (`[a-z_`, ]+) \|", page, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    kinds = (ManagedOptions, OllamaOptions, OpenAIOptions, AnthropicOptions)
    assert {field.name for kind in kinds for field in msgspec.structs.fields(kind)} <= listed


@pytest.mark.parametrize("key", re.findall(r"^\| `([a-z_.]+)` \|", SETTINGS, re.MULTILINE))
def test_every_setting_of_the_table_exists(key: str) -> None:
    assert isinstance(find(tuple(key.split("."))), Leaf)


def test_every_command_exists() -> None:
    named = set(re.findall(r"`?nearfield ([a-z][a-z-]*)", README))
    assert {"serve", "complete", "models", "doctor", "config"} <= named
    assert named - set(COMMANDS) <= {"is"}


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_inside_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", page.read_text()):
        # The pages of the reference are made with the site, which checks its links itself.
        assert link.startswith("reference/") or (page.parent / link).exists()
