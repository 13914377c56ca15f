"""Next edits by a real model: the default one speaks Sweep's form, which its tokenizer knows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.unit.features.next_edit.editing import Typist, next_edits

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config, Engine
from nearfield.engine.client import EngineClient
from nearfield.features.trace import TraceLog
from nearfield.providers.embedded import Embedded
from nearfield.routing.router import Router
from nearfield.types import (
    ChatRequest,
    Delta,
    EditForm,
    EditRequest,
    Message,
    Reason,
    Role,
    Segment,
    Usage,
)

pytestmark = [pytest.mark.model, pytest.mark.asyncio]

CODE = """\
class Box {
    int area(int wide) { return wide; }
    int twice() { return area(1); }
    int thrice() { return area(2); }
}
"""
JUDGED = {
    Reason.SHOWN, Reason.NOTHING, Reason.SYNTAX, Reason.DELETES, Reason.UNDOES, Reason.UNRELATED,
    Reason.UNSURE, Reason.REPEATS, Reason.WHITESPACE, Reason.TOO_LARGE,
}  # fmt: skip


async def test_a_model_rewrites_the_window_and_the_gate_judges_it(default_model: Path) -> None:
    model = Embedded(
        EngineClient(Engine()), model="default", path=default_model, edit_form=EditForm.SWEEP
    )
    traces, config = TraceLog(), FolderConfigs(Config())
    typist = Typist(CODE, "java")
    typist.edits = next_edits(typist.documents, typist.clock, traces)
    typist.edits.configure(config, Router(config, {"embedded": model}))
    at = CODE.index("int wide") + len("int wide")
    typist.edit(at, at, ", int high")
    try:
        found = await typist.edits.offered(
            typist.snapshot, typist.text.index("    int twice"), seconds=60.0
        )
    finally:
        await typist.edits.aclose()
        await model.aclose()
    (trace,) = traces.last(1)
    assert trace.reason in JUDGED
    assert bool(found) == trace.shown
    assert trace.usage is not None
    assert trace.usage.generated_tokens
    for offer in found:
        assert typist.text[offer.span.start : offer.span.end] == offer.old


async def test_a_question_in_chat_form_leaves_the_conversation_evaluated(
    default_model: Path,
) -> None:
    model = Embedded(EngineClient(Engine()), model="default", path=default_model)
    said = Message(Role.USER, "Explain this:\n" + CODE * 5)
    edit = EditRequest(
        form=EditForm.INSTRUCT,
        document="d",
        path="a.java",
        segments=(Segment("Say yes.\n" + CODE * 4),),
        is_chat=True,
        max_tokens=4,
    )

    async def usage(stream: AsyncGenerator[Delta]) -> Usage:
        deltas = [delta async for delta in stream]
        assert deltas[-1].usage is not None
        return deltas[-1].usage

    try:
        await usage(model.chat(ChatRequest((said,), max_tokens=4, session="c")))
        asked = await usage(model.edit(edit))
        again = await usage(model.edit(edit))
        chat = await usage(model.chat(ChatRequest((said,), max_tokens=4, session="c")))
    finally:
        await model.aclose()
    assert asked.generated_tokens
    assert again.evaluated_tokens == chat.evaluated_tokens == 1
