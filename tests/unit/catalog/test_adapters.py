"""Which LoRA adapters are taken for a model, and what a model with one is called."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.engine.families import write_adapter
from tests.unit.catalog import gguf_files

from nearfield.catalog.adapters import check_adapter
from nearfield.catalog.choice import Adapter, choose, named
from nearfield.catalog.models import Catalog
from nearfield.catalog.registration import adapted, registration
from nearfield.catalog.user import register
from nearfield.config.schema import Models
from nearfield.errors import ConfigError
from nearfield.features.assemble import providers

FITS = {"a": (32, 2)}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model with the tensor `a`, 32 by 2."""
    path = tmp_path / "base.gguf"
    path.write_bytes(gguf_files.model())
    return path


def write(path: Path, architecture: str = "tiny", changed: Any = None, **more: Any) -> Path:
    write_adapter(path, architecture, FITS if changed is None else changed, **more)
    return path


def test_an_adapter_that_fits(base: Path, tmp_path: Path) -> None:
    check_adapter(write(tmp_path / "adapter.gguf"), base)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"kind": "model"}, "is no LoRA adapter"),
        ({"architecture": "qwen2"}, "is for qwen2, not tiny"),
        ({"changed": {}}, "it changes nothing"),
        ({"changed": {"c": (32, 2)}}, "the model has no c"),
        ({"changed": {"a": (2, 32)}}, "its a is 2 by 32, the model's 32 by 2"),
        ({"changed": {"b": (4, 1)}}, "its b is 4 by 1, the model's 4"),
    ],
)
def test_an_adapter_that_does_not_fit(
    base: Path, tmp_path: Path, how: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        check_adapter(write(tmp_path / "adapter.gguf", **how), base)


def test_what_is_no_adapter_file(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no LoRA adapter"):
        check_adapter(base, base)
    with pytest.raises(ConfigError, match="cannot be read"):
        check_adapter(tmp_path / "none.gguf", base)
    (tmp_path / "text.gguf").write_text("words")
    with pytest.raises(ConfigError, match="not a sound GGUF file"):
        check_adapter(tmp_path / "text.gguf", base)
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ConfigError, match="is not a file"):
        check_adapter(tmp_path / "pipe.gguf", base)


def test_a_model_with_an_adapter_is_another_model(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"NEARFIELD_{name}_DIR", str(tmp_path / name.lower()))
    adapter = write(tmp_path / "adapter.gguf")
    register(registration("base", str(base), None, {}))
    register(adapted("mine", str(adapter), "base", 0.5, Catalog.load(), {"roles": ["complete"]}))
    catalog = Catalog.load()
    assert catalog.problems == ()
    plain, changed = named("base", catalog), named("mine", catalog)
    assert changed.path == plain.path
    assert (plain.adapter, changed.adapter) == (None, Adapter(str(adapter), 0.5))
    assert not changed.is_same(plain)
    assert choose("complete", Models(complete="mine"), catalog).name == "mine"
    with pytest.raises(ConfigError, match="no model that an adapter can change"):
        adapted("more", str(adapter), "mine", 1.0, catalog, {})
    with pytest.raises(ConfigError, match="cannot be added"):
        adapted("more", str(adapter), "base", 9.0, catalog, {})


def test_two_roles_with_and_without_it_are_two_models(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nearfield.config.schema import Config
    from nearfield.engine import client

    for name in ("CACHE", "CONFIG"):
        monkeypatch.setenv(f"NEARFIELD_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setattr(client, "installed", lambda program=client.LLAMA: True)
    register(registration("base", str(base), None, {}))
    adapter = write(tmp_path / "adapter.gguf")
    register(adapted("mine", str(adapter), "base", 1.0, Catalog.load(), {}))
    both = providers(Config(models=Models(complete="mine", chat="base")))
    assert {name: one.model for name, one in both.items()} == {
        "embedded": "mine",
        "embedded_chat": "base",
    }
    assert set(providers(Config(models=Models(complete="mine", chat="mine")))) == {"embedded"}
