"""Which fill-in form a model's name stands for, and how each form is written."""

from __future__ import annotations

import pytest

from nearfield.catalog.models import Catalog
from nearfield.catalog.templates import FIM_AUTO, fim_names, fim_template
from nearfield.engine.frames import ModelLoaded
from nearfield.providers import fim
from nearfield.providers.embedded import from_vocabulary
from nearfield.providers.families import template_of
from nearfield.types import InfillRequest, Snippet

NAMES = {
    "qwen2.5-coder:1.5b-base": "qwen",
    "Qwen/Qwen3-Coder-30B-A3B-Instruct": "qwen",
    "qwen3-coder-next": "qwen",
    "sweepai/sweep-next-edit-1.5B": "qwen",
    "deepseek-coder:6.7b-base": "deepseek-coder",
    "DeepSeek-Coder-V2-Lite-Base-Q4_K_M.gguf": "deepseek-coder",
    "codellama:7b-code": "codellama",
    "CodeLlama-34B": "",
    "starcoder2:7b": "starcoder2",
    "bigcode/starcoderbase-1b": "granite-code",
    "granite-code:3b-base": "granite-code",
    "smallcloudai/Refact-1_6B-fim": "granite-code",
    "granite-4.0-350m-base": "granite-4",
    "granite4:1b": "granite-4",
    "codegemma:2b-code": "codegemma",
    "codestral:22b": "codestral",
    "JetBrains/Mellum-4b-base-gguf": "mellum",
    "Mellum2-12B-A2.5B-Base.Q4_K_M": "mellum",
    "Seed-Coder-8B-Base": "seed-coder",
    "gemma4:e4b": "",
    "qwen3.5:4b": "",
    "gpt-oss:20b": "",
    "devstral:24b": "",
}


@pytest.mark.parametrize(("model", "form"), NAMES.items())
def test_a_models_name_stands_for_a_form(model: str, form: str) -> None:
    template = template_of("a server", model)
    assert (template.name if template else "") == form


def test_every_form_is_some_familys() -> None:
    assert {*NAMES.values()} == {*fim_names(), ""}


def test_the_catalogues_form_of_a_model_is_that_of_its_name() -> None:
    for entry in Catalog.load({}).entries.values():
        named = template_of("", entry.name)
        if entry.fim not in ("", FIM_AUTO) and named is not None:
            assert named.name == entry.fim, entry.name
        assert not entry.fim or named is not None, entry.name


REQUEST = InfillRequest(
    document="d",
    path="area.py",
    language="python",
    prefix="def area():\n    return wid",
    suffix="\n\nprint(area())\n",
    typed="    return wid",
    repo="shapes",
    snippets=(Snippet("other.py", "side = 1\n"),),
)
WRITTEN = {
    "qwen": (
        "<|repo_name|>shapes\n<|file_sep|>other.py\nside = 1\n<|file_sep|>area.py\n"
        "<|fim_prefix|>def area():\n    return wid<|fim_suffix|>\n\nprint(area())\n<|fim_middle|>"
    ),
    "starcoder2": (
        "<repo_name>shapes\n<file_sep>other.py\nside = 1\n<file_sep>area.py\n"
        "<fim_prefix>def area():\n    return wid<fim_suffix>\n\nprint(area())\n<fim_middle>"
    ),
    "granite-4": (
        "side = 1\n\n<|fim_prefix|>def area():\n    return wid"
        "<|fim_suffix|>\n\nprint(area())\n<|fim_middle|>"
    ),
    "codestral": "side = 1\n\n[SUFFIX]\n\nprint(area())\n[PREFIX]def area():\n    return wid",
    "mellum": (
        "<filename>other.py\nside = 1\n<filename>area.py\n"
        "<fim_suffix>\n\nprint(area())\n<fim_prefix>def area():\n    return wid<fim_middle>"
    ),
    "seed-coder": (
        "<[fim-suffix]>\n\nprint(area())\n<[fim-prefix]><filename>other.py\nside = 1\n"
        "<filename>area.py\ndef area():\n    return wid<[fim-middle]>"
    ),
}


@pytest.mark.parametrize(("name", "text"), WRITTEN.items())
def test_how_a_form_writes_a_prompt(name: str, text: str) -> None:
    template = fim_template(name)
    segments = fim.render(template, REQUEST)
    assert fim.as_text(segments) == text
    assert segments[fim.heal_index(template, REQUEST, segments)].text == REQUEST.prefix


def loaded(name: str, *tokens: str) -> ModelLoaded:
    """A model with these tokens for prefix, suffix, middle, repository and file."""
    return ModelLoaded(name, 1, 1, 1, 1, 1, 1, list(tokens), False, False, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("model", "form"),
    [
        (loaded("a", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<reponame>", ""),
         "granite-code"),
        (loaded("Mellum 4b base", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<reponame>", ""),
         "mellum"),
        (loaded("a", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "", "<|filename|>"),
         "granite-4"),
        (loaded("a", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "",
                "<|file_separator|>"),
         "codegemma"),
        (loaded("a", "<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", "", ""), "seed-coder"),
        (loaded("a", "[PREFIX]", "[SUFFIX]", "[MIDDLE]", "", ""), "codestral"),
        (loaded("Mellum 4b base", "<PRE>", "<SUF>", "<MID>", "", ""), "vocabulary"),
        (loaded("Qwen2.5 Coder", "", "", "", "", ""), ""),
    ],
)  # fmt: skip
def test_the_form_of_a_file_by_its_tokens_and_name(model: ModelLoaded, form: str) -> None:
    template = from_vocabulary(model)
    assert (template.name if template else "") == form
