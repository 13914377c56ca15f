"""The panel of plugins made for Copilot's server: every suggestion at the cursor, in a window.

By the older call, `getPanelCompletions`, the answer says how many there may be, and the suggestions
follow as notifications. `textDocument/copilotPanelCompletion` has them in its answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from lsprotocol import types
from pygls.lsp.server import LanguageServer

from nearfield.features.reasons import WORDS
from nearfield.lsp import wire
from nearfield.lsp.copilot_calls import Call, CopilotDocument
from nearfield.lsp.explain import WirePosition
from nearfield.lsp.inline_completion import SuggestionPoint, answer_at, item_of, place_of
from nearfield.lsp.session import Session
from nearfield.tasks import run_task
from nearfield.types import CompletionAnswer, Reason, Surface

GET_PANEL_COMPLETIONS = "getPanelCompletions"
PANEL_COMPLETION = "textDocument/copilotPanelCompletion"
SOLUTION = "PanelSolution"
DONE = "PanelSolutionsDone"

OPENING_SECONDS = 0.2
"""copilot.vim opens the window after the answer, and drops what was told before. It looks for the
answer every millisecond; a busy machine needs longer."""


class PanelParams(msgspec.Struct, frozen=True):
    """The question for a panel; `panel_id` is the plugin's name for the window."""

    doc: CopilotDocument
    panel_id: str = msgspec.field(name="panelId")


class PanelDocument(msgspec.Struct, frozen=True):
    """The document of the newer question."""

    uri: str
    version: int | None = None


class PanelCompletionParams(msgspec.Struct, frozen=True):
    """The newer question, whose position is in the encoding that was agreed."""

    text_document: PanelDocument = msgspec.field(name="textDocument")
    position: WirePosition


def register(server: LanguageServer, session: Session) -> None:
    """Answer for panels."""

    async def panel(params: Any) -> dict[str, int]:
        asked = wire.read(PanelParams, params)
        call = Call.of(session, asked.doc, again=True)
        run_task(_fill(session, call, asked.panel_id), "fill a panel")
        from nearfield.features.completion.alternatives import MAX_ALTERNATIVES

        return {"solutionCountTarget": 1 + MAX_ALTERNATIVES}

    async def panel_completion(params: Any) -> types.InlineCompletionList:
        asked = wire.read(PanelCompletionParams, params)
        place = place_of(
            session,
            Surface.GHOST_TEXT,
            types.InlineCompletionParams(
                context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Invoked),
                text_document=types.TextDocumentIdentifier(asked.text_document.uri),
                position=types.Position(asked.position.line, asked.position.character),
            ),
            invoked=True,
            again=True,
        )
        found = (await _all_at(session, place)).suggestions
        document, ask = place.document, place.ask
        if document is None or ask is None:
            return types.InlineCompletionList([])
        encoding = session.protocol.encoding
        return types.InlineCompletionList(
            [item_of(one, document, ask.offset, encoding) for one in found]
        )

    server.feature(GET_PANEL_COMPLETIONS)(panel)
    server.feature(PANEL_COMPLETION)(panel_completion)


async def _fill(session: Session, call: Call, panel: str) -> None:
    """Send the suggestions, best first, and that there are no more, or why there are none."""
    done = {"status": "Error", "message": WORDS[Reason.ERROR].sentence}
    try:
        answer, _ = await asyncio.gather(
            _all_at(session, call.place), asyncio.sleep(OPENING_SECONDS)
        )
        found = answer.suggestions
        for score, suggestion in zip(range(len(found), 0, -1), found, strict=True):
            session.protocol.notify(SOLUTION, _solution(call.item(suggestion), panel, score))
        done = {"status": "OK"} if found else {**done, "message": WORDS[answer.reason].sentence}
    finally:
        session.protocol.notify(DONE, {"panelId": panel, **done})


async def _all_at(session: Session, place: SuggestionPoint) -> CompletionAnswer:
    """Return the suggestion at a place with its alternatives, which the second question at one
    cursor waits for."""
    first = await answer_at(session, place)
    return await answer_at(session, place) if first.suggestions else first


def _solution(item: dict[str, Any], panel: str, score: int) -> dict[str, Any]:
    """Return a suggestion as panels read it. They sort by `score`, show the text from the line's
    beginning, and tell by `solutionId` which was taken."""
    return {
        "panelId": panel,
        "solutionId": item["uuid"],
        "score": score,
        "completionText": item["text"],
        "displayText": item["text"],
        "range": item["range"],
        "docVersion": item["docVersion"],
    }
