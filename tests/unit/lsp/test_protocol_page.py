"""docs/protocol.md, the page that client authors read."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from nearfield import lsp
from nearfield.lsp.action_commands import ActionParams
from nearfield.lsp.chat import ChatParams, CloseParams, GenerateParams
from nearfield.lsp.commit_message import CommitMessageParams
from nearfield.lsp.copilot_calls import CompletionIdParams, CompletionsParams
from nearfield.lsp.copilot_panel import PanelCompletionParams, PanelParams
from nearfield.lsp.events import ItemParams
from nearfield.lsp.explain import ExplainParams
from nearfield.lsp.kept_chats import KeptParams, ListParams
from nearfield.lsp.models import ModelsParams, PrepareParams, UseParams
from nearfield.lsp.next_edit import InlineEditParams, NextEditParams
from nearfield.lsp.review import ClearParams, ReviewParams
from nearfield.lsp.server import build
from nearfield.lsp.trace import TraceParams

PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"
STANDARD = re.compile(
    r"(initialize|initialized|shutdown|exit|\$/setTrace|workspace/|window/|notebookDocument/"
    r"|codeAction/|textDocument/(did(Open|Change|Close)|completion|inlineCompletion|hover|codeAction)$)"
)
PARAMS: dict[str, type[msgspec.Struct]] = {
    "nearfield/trace": TraceParams,
    "nearfield/chat": ChatParams,
    "nearfield/chat/close": CloseParams,
    "nearfield/chat/list": ListParams,
    "nearfield/chat/history": KeptParams,
    "nearfield/chat/export": KeptParams,
    "nearfield/chat/delete": KeptParams,
    "nearfield/chat/prepare": PrepareParams,
    "nearfield/models/list": ModelsParams,
    "nearfield/models/use": UseParams,
    "nearfield/commitMessage": CommitMessageParams,
    "nearfield/generate": GenerateParams,
    "nearfield.explain": ExplainParams,
    "nearfield.action": ActionParams,
    "nearfield.review": ReviewParams,
    "nearfield.clearReview": ClearParams,
    "nearfield.nextEdit": NextEditParams,
    "textDocument/copilotInlineEdit": InlineEditParams,
    "textDocument/didShowCompletion": ItemParams,
    "getCompletions": CompletionsParams,
    "getPanelCompletions": PanelParams,
    "textDocument/copilotPanelCompletion": PanelCompletionParams,
    "notifyAccepted": CompletionIdParams,
}
NOT_READ = {"acceptedLength"}
"""Clients send it, as editors for Copilot's server do; we go by the edit itself."""


def test_every_message_and_command_of_our_own_is_documented() -> None:
    known = build().session.protocol.fm
    ours = {name for name in (*known.features, *known.commands) if not STANDARD.match(name)}
    named = set(re.findall(r"`([\w./$]+)`", PAGE.read_text()))
    assert len(ours) > 15
    assert ours - named == set()


@pytest.mark.parametrize("message", PARAMS)
def test_the_documented_params_are_those_that_are_read(message: str) -> None:
    fields = msgspec.structs.fields(PARAMS[message])
    documented = dict(_documented(message))
    assert documented.keys() - NOT_READ == {field.encode_name for field in fields} - NOT_READ
    required = {field.encode_name for field in fields if field.required}
    assert [name for name in required if documented[name]] == []


def test_the_params_of_every_message_are_compared() -> None:
    found: set[str] = set()
    for info in pkgutil.iter_modules(lsp.__path__):
        for name, value in vars(importlib.import_module(f"nearfield.lsp.{info.name}")).items():
            if name.endswith("Params") and isinstance(value, type) and not name.startswith("_"):
                found |= {name} if issubclass(value, msgspec.Struct) else set()
    assert found == {kind.__name__ for kind in PARAMS.values()}


def _documented(message: str) -> Iterator[tuple[str, bool]]:
    """Yield the name of each param on the page, and whether it may be left out."""
    row = rf"^\|[^|]*`{re.escape(message)}`[^|]*\|(.*)"
    (rest,) = re.findall(row, PAGE.read_text(), re.MULTILINE)
    cell = re.split(r"(?<!\\)\|", rest)[0]
    for group in re.findall(r"\{((?:[^{}]|\{[^{}]*\})*)\}", cell):
        for part in re.sub(r":\s*(\{[^{}]*\}|\"[^\"]*\")", "", group).split(","):
            alternatives = [name.strip() for name in part.split(r"\|")]
            for name in alternatives:
                yield name.removesuffix("?"), name.endswith("?") or len(alternatives) > 1
