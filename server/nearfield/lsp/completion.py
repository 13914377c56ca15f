"""`textDocument/completion`: for editors without ghost text (Helix and others).

The popup is never delayed. An answer that is late by `READY_SECONDS` is still computed, and the
request of the next keystroke finds it in the completion cache (`isIncomplete` makes the client ask
again).
"""

from __future__ import annotations

import asyncio

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from nearfield.files.lines import LINE_END
from nearfield.lsp import commands
from nearfield.lsp.abilities import shows_markdown_of_items
from nearfield.lsp.documents import TextDocument
from nearfield.lsp.inline_completion import place_of, suggestions_at
from nearfield.lsp.session import Session
from nearfield.tasks import run_task
from nearfield.types import Span, Suggestion, Surface

READY_SECONDS = 0.05
"""Seconds that count as ready: less than a person notices, enough for a cached answer on a busy
machine.
"""

LABEL_CHARS = 60
"""Popups are about this wide; what is cut is in the documentation beside it."""

TRIGGERS = (".", "(", "[", "=", ":", ",")
"""Characters that open a popup without a word being typed; editors know words by themselves."""

LAST = "\U0010ffff"
"""Sorts after every identifier: a model's guess is below a language server's entries."""


def register(server: LanguageServer, session: Session) -> None:
    """Answer completions from what is ready."""

    last: list[object] = []

    async def completion(params: types.CompletionParams) -> types.CompletionList:
        answered = asyncio.Event()
        here = _where(session, params)
        again = last == here
        last[:] = here
        # Whether the user pressed a key for it is not known: editors say so of every word typed.
        place = place_of(session, Surface.POPUP, params, late=answered.is_set, again=again)
        asking = run_task(suggestions_at(session, place), "complete for a popup")
        try:
            await asyncio.wait({asking}, timeout=READY_SECONDS)
        except asyncio.CancelledError:
            asking.cancel()
            raise
        answered.set()
        found = asking.result() if asking.done() else ()
        document, ask = place.document, place.ask
        if document is None or ask is None or _is_unwanted(session, document):
            return types.CompletionList(is_incomplete=True, items=[])
        encoding = session.protocol.encoding
        plain = not shows_markdown_of_items(session.protocol.client_capabilities)
        items = [item_of(one, document, ask.offset, encoding, plain=plain) for one in found]
        return types.CompletionList(is_incomplete=True, items=items)

    options = types.CompletionOptions(trigger_characters=list(TRIGGERS))
    server.feature(types.TEXT_DOCUMENT_COMPLETION, options)(completion)


def _is_unwanted(session: Session, document: TextDocument) -> bool:
    """Return whether the document's folder has turned the list off, which the others use."""
    completion = session.settings.configs.of(document.root).completion
    return completion.popup == "never" != session.settings.config.completion.popup


def _where(session: Session, params: types.CompletionParams) -> list[object]:
    """The place and the version that are asked about."""
    uri, at = params.text_document.uri, params.position
    document = session.documents.get(uri)
    return [uri, document.version if document else None, at.line, at.character]


def item_of(
    suggestion: Suggestion, document: TextDocument, cursor: int, encoding: str, *, plain: bool
) -> types.CompletionItem:
    """Return a suggestion as an item. The typed word is part of it, because clients
    filter by it. `plain` is for clients that show no Markdown.
    """
    start = min(_word_start(document.text, cursor), suggestion.replace.start)
    typed = document.text[start : suggestion.replace.start]
    text = typed + suggestion.text
    lines = LINE_END.split(text)
    before_cursor = document.text[start:cursor]
    model = f"Nearfield · {suggestion.model}" if suggestion.model else "Nearfield"
    return types.CompletionItem(
        label=_label(lines),
        kind=types.CompletionItemKind.Text,
        detail=model,
        documentation=text
        if plain
        else types.MarkupContent(types.MarkupKind.Markdown, _code_block(text, document.language)),
        preselect=False,
        sort_text=LAST,
        filter_text=lines[0] if lines[0].startswith(before_cursor) else before_cursor,
        insert_text_format=types.InsertTextFormat.PlainText,
        insert_text_mode=types.InsertTextMode.AsIs,
        text_edit=types.TextEdit(
            document.range_of(Span(start, suggestion.replace.end), encoding), text
        ),
        command=types.Command("Accept", commands.ACCEPT, arguments=[suggestion.id]),
    )


def _word_start(text: str, cursor: int) -> int:
    start = cursor
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    return start


def _label(lines: list[str]) -> str:
    """Return the popup's text: the first line that is not blank, shortened. "↵" marks line breaks
    before it, an ellipsis missing text.
    """
    shown = next((line.strip() for line in lines if line.strip()), "")
    if len(lines) > 1 and not lines[0].strip():
        shown = f"↵ {shown}"
    if len(shown) > LABEL_CHARS:
        return shown[: LABEL_CHARS - 1] + "…"
    visible = sum(bool(line.strip()) for line in lines)
    return f"{shown} …" if visible > 1 else shown


def _code_block(text: str, language: str) -> str:
    """`text` as Markdown, whatever backquotes it holds."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
