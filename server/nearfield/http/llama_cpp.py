"""The two paths of llama.cpp's own server that editors' plugins ask: `/infill` and `/props`.

An answer of `/infill` has passed what a completion in an editor passes: the prompt that continues
what was evaluated, the checks of syntax and confidence, the settings of the folder, the ignore
rules. Sampling is ours: the fields for it are not read, nor is the model's name, as llama.cpp's
server has one model. A client that gets no text is told why in `reason`, which the fields that it
asks for may leave out; where the settings refuse it, the answer is an error.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, defaultdict
from collections.abc import AsyncGenerator
from importlib.metadata import version
from itertools import count
from pathlib import Path, PurePath, PureWindowsPath
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from nearfield.config.schema import Config
from nearfield.errors import NearfieldError
from nearfield.features.reasons import WORDS
from nearfield.http import wire
from nearfield.http.asking import Asking, check_model
from nearfield.http.exchange import HttpExchange
from nearfield.http.pieced import NamedPiece, PiecedDocument, PiecedDocuments
from nearfield.http.wire import BadRequest, Stops
from nearfield.routing.withhold import Withheld
from nearfield.syntax.languages import language_for
from nearfield.types import (
    CompletionAnswer,
    CompletionRequest,
    Reason,
    Snapshot,
    Snippet,
    SnippetKind,
    Suggestion,
    Surface,
    Usage,
)

MAX_OPEN = 256
"""Documents that the service follows: more than are asked about at once."""

NAME_PARTS = 3
"""Folders and name of a path on a person's own machine that models see."""

DENIED = frozenset(
    {
        Reason.DISABLED,
        Reason.LANGUAGE,
        Reason.EXCLUDED,
        Reason.NO_CONSENT,
        Reason.OVER_BUDGET,
        Reason.WITHHELD,
    }
)
"""Reasons that are errors of the client's, by the user's own settings."""

UNAVAILABLE = frozenset(
    {
        Reason.PAUSED,
        Reason.NOT_READY,
        Reason.NO_PROVIDER,
        Reason.UNREACHABLE,
        Reason.UNAUTHORISED,
        Reason.RATE_LIMITED,
        Reason.LEFT_ALONE,
        Reason.ENGINE_DIED,
        Reason.NOT_SERVED,
        Reason.UNSUPPORTED,
        Reason.BAD_ANSWER,
    }
)
"""Reasons that are errors of this server's."""


class ExtraBody(msgspec.Struct, frozen=True):
    """A piece of another file, or of this one."""

    text: str = ""
    filename: str = ""


class InfillBody(msgspec.Struct, frozen=True):
    """`POST /infill`. The cursor is after `prompt`, which follows `input_prefix`."""

    input_prefix: str = ""
    input_suffix: str = ""
    input_extra: Annotated[list[ExtraBody], Meta(max_length=1024)] | None = None
    prompt: str | None = None
    n_predict: int | None = None
    stop: Stops = None
    stream: bool = False
    response_fields: list[str] | None = None

    @property
    def before(self) -> str:
        """The text before the cursor."""
        return self.input_prefix + (self.prompt or "")

    def pieces(self) -> list[NamedPiece]:
        """Return what was sent of files."""
        return [NamedPiece(one.filename, one.text) for one in self.input_extra or ()]

    def cut(self, text: str) -> str:
        """Return `text` up to the first of the texts that end an answer."""
        ends = [at for stop in wire.stops(self.stop) if (at := text.find(stop)) >= 0]
        return text[: min(ends)] if ends else text

    def chosen(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of an answer that were asked for: `timings/prompt_n` is a field of the
        name, with the value at that path."""
        if not self.response_fields:
            return answer
        found: dict[str, Any] = {}
        for path in self.response_fields:
            value: Any = answer
            for name in path.split("/"):
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None:
                found[path] = value
        return found


class LlamaCppApi:
    """See the module."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._documents: defaultdict[str, PiecedDocuments] = defaultdict(PiecedDocuments)
        """By owner: a window of one person's is never laid over another's text."""
        self._opened: OrderedDict[str, None] = OrderedDict()
        self._is_indexed = False
        self._numbers = count(1)

    async def props(self, exchange: HttpExchange, body: bytes) -> None:
        """`GET /props`."""
        provider = self._asking.first("complete")
        await exchange.json(
            {
                "default_generation_settings": {
                    "n_ctx": self._asking.context_tokens("complete"),
                    "params": {"n_predict": self._config.completion.max_tokens, "stream": False},
                },
                "total_slots": 1,
                "model_alias": provider.model if provider else "",
                "model_path": "",
                "modalities": {"vision": False, "audio": False},
                "chat_template": "",
                "bos_token": "",
                "eos_token": "",
                "build_info": f"nearfield {version('nearfield')}",
                "is_sleeping": False,
            }
        )

    async def infill(self, exchange: HttpExchange, body: bytes) -> None:
        """`POST /infill`."""
        asked = wire.read(InfillBody, body)
        member = exchange.member
        check_model(member, "complete")
        given = asked.pieces()
        if member.owner:
            given = [NamedPiece(_of_no_disk(one.name), one.text) for one in given]
        pieces = await asyncio.to_thread(self._permitted, given)
        documents = self._documents[member.owner]
        documents.named(pieces)
        if asked.n_predict == 0 or not (asked.before or asked.input_suffix):
            # The client prepares: what it sent is kept for the next question.
            if (latest := documents.latest) is not None:
                self._give(self._snapshot(latest, member.owner), latest, pieces)
            await self._answer(exchange, asked, self._form(asked, "", None, Reason.SHOWN))
            return
        self._index()
        document, offset = documents.at(asked.before, asked.input_suffix)
        snapshot = self._snapshot(document, member.owner)
        request = CompletionRequest(
            id=f"infill-{next(self._numbers)}",
            surface=Surface.INFILL,
            snapshot=snapshot,
            offset=offset,
            client_waits=True,
            max_tokens=wire.limit(asked.n_predict),
        )
        service = self._asking.service
        async with self._asking.hole(exchange):
            self._show(snapshot)
            self._give(snapshot, document, pieces)
            answer = await service.complete(request)
        raise_for(answer.reason)
        traces = [one for one in service.traces.last(16) if one.id == request.id]
        usage = traces[0].usage if traces else None
        text = asked.cut(inserted(answer, snapshot.text, offset))
        await self._answer(exchange, asked, self._form(asked, text, usage, answer.reason))

    # --- inside -----------------------------------------------------------------------------

    def _index(self) -> None:
        """Open the folder's index with the first question: other paths do without."""
        if self._asking.workspace and not self._is_indexed:
            self._is_indexed = True
            self._asking.service.knowledge.folders([self._asking.workspace])

    @property
    def _config(self) -> Config:
        return self._asking.service.configs.of(self._asking.workspace)

    def _permitted(self, pieces: list[NamedPiece]) -> list[NamedPiece]:
        """Return the pieces of files that no rule leaves out, and of the folder alone where there
        is one. Reads rule files: for a thread."""
        config, folder = self._config, self._asking.workspace
        withheld = Withheld((*config.privacy.withhold, *config.files.exclude))

        def may_be_shown(name: str) -> bool:
            path = Path(os.path.normpath(Path(folder, name)))
            is_inside = not folder or path.is_relative_to(folder)
            return is_inside and withheld.why(folder, name) is None

        permitted = {name for name in {one.name for one in pieces} if may_be_shown(name)}
        return [one for one in pieces if one.name in permitted]

    def _show(self, snapshot: Snapshot) -> None:
        """Let the service follow a document, and forget the one that was shown longest ago."""
        service = self._asking.service
        service.showing(snapshot)
        self._opened[snapshot.uri] = None
        self._opened.move_to_end(snapshot.uri)
        while len(self._opened) > MAX_OPEN:
            service.closed(self._opened.popitem(last=False)[0])

    def _snapshot(self, document: PiecedDocument, owner: str) -> Snapshot:
        name, folder = document.name, self._asking.workspace
        language = language_for("", name) if name else None
        path = Path(name) if name and Path(name).is_absolute() else None
        if name and path is None and folder:
            path = Path(folder, name)
        return Snapshot(
            uri=f"infill:{owner}{document.key}/{PurePath(name).name}",
            language=language.name if language else "",
            version=None,
            text=document.text,
            path=str(path) if path else None,
            root=folder or None,
        )

    def _give(self, snapshot: Snapshot, document: PiecedDocument, pieces: list[NamedPiece]) -> None:
        """Let the prompts of a document show pieces of other files."""
        others = [one for one in pieces if one.name != document.name]
        folder = self._asking.workspace
        snippets = [Snippet(_shown(n.name, folder), n.text, SnippetKind.RECENT) for n in others]
        self._asking.service.knowledge.given(snapshot.uri, snippets)

    def _form(
        self, asked: InfillBody, text: str, usage: Usage | None, reason: Reason
    ) -> dict[str, Any]:
        """Return an answer with the fields of llama.cpp's."""
        used = usage or Usage("")
        read, written = used.evaluated_tokens or 0, used.generated_tokens or 0
        cached = used.reused_tokens or 0
        said = {"reason": reason, "said": WORDS[reason].sentence} if reason and not text else {}
        provider = self._asking.first("complete")
        return {
            "index": 0,
            "content": text,
            "tokens": [],
            "id_slot": 0,
            "stop": True,
            "model": used.model or (provider.model if provider else ""),
            "tokens_predicted": written,
            "tokens_evaluated": used.prompt_tokens or read + cached,
            "generation_settings": {"n_predict": asked.n_predict, "stream": asked.stream},
            "prompt": "",
            "has_new_line": "\n" in text,
            "truncated": False,
            "stop_type": "limit" if reason is Reason.LENGTH else "eos",
            "stopping_word": "",
            "tokens_cached": read + cached + written,
            "timings": {
                "cache_n": cached,
                **_rates("prompt", read, used.prefill_ms or 0.0),
                **_rates("predicted", written, used.decode_ms or 0.0),
            },
            **said,
        }

    async def _answer(
        self, exchange: HttpExchange, asked: InfillBody, form: dict[str, Any]
    ) -> None:
        if not asked.stream:
            await exchange.json(asked.chosen(form))
            return

        async def events() -> AsyncGenerator[dict[str, Any]]:
            if form["content"]:
                piece = {"content": form["content"], "tokens": [], "stop": False}
                yield {"index": 0, **piece, "id_slot": 0}
            yield asked.chosen({**form, "content": ""})

        await exchange.stream(events())


def _rates(name: str, tokens: int, milliseconds: float) -> dict[str, float]:
    return {
        f"{name}_n": tokens,
        f"{name}_ms": round(milliseconds, 3),
        f"{name}_per_token_ms": round(milliseconds / max(1, tokens), 3),
        f"{name}_per_second": round(tokens * 1000 / milliseconds, 3) if milliseconds else 0.0,
    }


def raise_for(reason: Reason) -> None:
    """Raises an error where the settings refuse an answer, or nothing can give one."""
    status = 403 if reason in DENIED else 503 if reason in UNAVAILABLE else 0
    if reason in (Reason.TOO_BIG, Reason.TOO_LONG):
        status = 400
    if reason is Reason.ERROR:
        raise NearfieldError("The answer failed; Nearfield's log says why.")
    if status:
        words = WORDS[reason]
        raise BadRequest(f"{words.sentence} {words.advice}".strip(), code=reason, status=status)


def inserted(answer: CompletionAnswer, text: str, offset: int) -> str:
    """Return the first suggestion that inserts at the cursor and no more, "" for none."""
    found = (insertion(one, text, offset) for one in answer.suggestions)
    return next((one for one in found if one), "")


def insertion(suggestion: Suggestion, text: str, offset: int) -> str:
    """Return what a suggestion inserts at the cursor, "" if it changes more."""
    start, end = suggestion.replace.start, suggestion.replace.end
    left, right = text[start:offset], text[offset:end]
    new = suggestion.text
    if not start <= offset <= end or not new.startswith(left) or not new.endswith(right):
        return ""
    return new[len(left) : len(new) - len(right)]


def _of_no_disk(name: str) -> str:
    """Return the end of a path on a person's machine, which is no path of this one."""
    windows = PureWindowsPath(name)
    parts = [part for part in windows.parts if part not in (windows.anchor, "..")]
    return "/".join(parts[-NAME_PARTS:])


def _shown(name: str, folder: str) -> str:
    """Return a file's name as models see it."""
    path = Path(name)
    if folder and path.is_relative_to(folder):
        return path.relative_to(folder).as_posix()
    return path.name if path.is_absolute() else path.as_posix()
