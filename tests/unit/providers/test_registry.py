"""Building providers: the built-in kinds, and plugins that work, fail, or lie."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from nearfield.config.schema import ProviderSettings
from nearfield.errors import ConfigError
from nearfield.providers import registry
from nearfield.providers.scripted import Scripted

BUILT_IN = ("llama_server", "ollama", "openai_compatible", "anthropic", "scripted")


class Plugin(Scripted):
    """A provider of another package."""

    def __init__(self, name: str, settings: ProviderSettings, **deps: Any) -> None:
        if settings.model == "explode":
            raise ZeroDivisionError("sk-hunter2")
        if settings.model == "refuse":
            raise ConfigError(f"{name} needs another model.")
        assert set(deps) == {"environ", "secret"}
        super().__init__(name, settings)


@pytest.fixture(autouse=True)
def _plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        EntryPoint("good", f"{__name__}:Plugin", registry.GROUP),
        EntryPoint("gone", "no_such_package:Provider", registry.GROUP),
        EntryPoint("scripted", "no_such_package:Provider", registry.GROUP),
    ]

    def entry_points(group: str) -> list[EntryPoint]:
        return [entry for entry in found if entry.group == group]

    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.mark.parametrize("kind", [*BUILT_IN, "good"])
async def test_build(kind: str) -> None:
    settings = ProviderSettings(kind=kind, model="m", base_url="http://127.0.0.1:9")
    provider = registry.build("mine", settings, environ={})
    assert (provider.name, provider.model) == ("mine", "m")
    assert provider.capabilities.local
    await provider.aclose()
    await provider.aclose()


def test_a_plugin_does_not_replace_a_built_in_kind() -> None:
    assert isinstance(registry.build("mine", ProviderSettings(kind="scripted")), Scripted)


def test_kinds() -> None:
    assert registry.kinds() == (*BUILT_IN, "gone", "good")


def test_a_broken_plugin_is_named_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wanted = {
        "a": ProviderSettings(kind="good"),
        "b": ProviderSettings(kind="gone"),
        "c": ProviderSettings(kind="good", model="explode"),
        "d": ProviderSettings(kind="good", model="refuse"),
        "e": ProviderSettings(kind="scripted"),
        "f": ProviderSettings(kind="none"),
    }
    built, problems = registry.build_all(wanted, environ={})
    assert list(built) == ["a", "e"]
    said = [str(problem) for problem in problems]
    assert "'gone' cannot be used: ModuleNotFoundError" in said[0]
    assert "'good' cannot be used: ZeroDivisionError" in said[1]
    assert said[2] == "d needs another model."
    assert "'none'" in said[3]
    assert "llama_server" in said[3]
    assert "hunter2" not in " ".join([*said, caplog.text])
