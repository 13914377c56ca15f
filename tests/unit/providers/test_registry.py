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

IN_WORKERS = ("onnx", "openvino")
"""Those that need a package and a model: tests/engine has them."""
BUILT_IN = ("llama_server", "ollama", "openai_compatible", "anthropic", *IN_WORKERS, "scripted")


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


@pytest.mark.parametrize("kind", [kind for kind in (*BUILT_IN, "good") if kind not in IN_WORKERS])
async def test_every_kind_is_built_from_its_settings(kind: str) -> None:
    settings = ProviderSettings(kind=kind, model="m", base_url="http://127.0.0.1:9")
    provider = registry.build("mine", settings, environ={})
    assert (provider.name, provider.model) == ("mine", "m")
    assert provider.capabilities.local
    await provider.aclose()
    await provider.aclose()


def test_a_plugin_does_not_replace_a_built_in_kind() -> None:
    assert isinstance(registry.build("mine", ProviderSettings(kind="scripted")), Scripted)


def test_plugins_add_kinds() -> None:
    assert registry.kinds() == (*BUILT_IN, "gone", "good")


# the settings; what is said of them
BROKEN = [
    (ProviderSettings(kind="gone"), "'gone' cannot be used: ModuleNotFoundError"),
    (ProviderSettings(kind="good", model="explode"), "'good' cannot be used: ZeroDivisionError"),
    (ProviderSettings(kind="good", model="refuse"), "a needs another model."),
    (ProviderSettings(kind="none"), "'none'"),
    (ProviderSettings(kind="none"), "llama_server"),
]


@pytest.mark.parametrize(("settings", "said"), BROKEN, ids=[said for _, said in BROKEN])
def test_a_provider_that_cannot_be_built_is_named(
    settings: ProviderSettings, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigError) as refused:
        registry.build("a", settings, environ={})
    assert said in str(refused.value)
    assert "hunter2" not in f"{refused.value} {caplog.text}"
