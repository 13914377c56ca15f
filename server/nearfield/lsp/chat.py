"""`nearfield/chat`, `nearfield/chat/close` and `nearfield/generate`.

    nearfield/chat        {session?, message, textDocument?, position?, range?, workspace?,
                           allowedFunctions?, role?, maxTokens?, partialResultToken?,
                           showThinking?, workDoneToken?, instructions?, temperature?,
                           contextTokens?, codeOnly?}
                       →  {session, text, provider, model, finish, wrong, notes, calls}
    nearfield/chat/close  {session}                              →  {closed}
    nearfield/generate    {prompt, schema, textDocument?, range?, workspace?, workDoneToken?}
                       →  {value, provider, model}

While a chat answers, `$/progress` on its `partialResultToken` carries `{kind: "text", text}`,
`{kind: "restart"}` and `{kind: "call", id, name, arguments, state, result?}`; with `showThinking`
also `{kind: "thinking", text}`, which is no part of the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from nearfield.lsp import wire
from nearfield.lsp.explain import WirePosition, WireRange, document_of, span_of
from nearfield.lsp.protocol import CLIENT_TOKEN
from nearfield.lsp.session import Session
from nearfield.lsp.work import shown_work
from nearfield.types import MAX_ANSWER_TOKENS, Snapshot, Span

if TYPE_CHECKING:
    from nearfield.features.chat.chat import ChatService
    from nearfield.features.chat.protocol import CallReport, Reply
    from nearfield.features.service import Service
    from nearfield.routing.request_context import Source

CHAT = "nearfield/chat"
CLOSE = "nearfield/chat/close"
GENERATE = "nearfield/generate"
TOKENS = 1024


class WireDocument(msgspec.Struct, frozen=True):
    """A text document identifier."""

    uri: str


class _ChatPlace(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The place that a request is about, and the limits of its answer."""

    text_document: WireDocument | None = None
    position: WirePosition | None = None
    range: WireRange | None = None
    workspace: str = ""
    role: str = ""
    max_tokens: Annotated[int, msgspec.Meta(le=MAX_ANSWER_TOKENS)] = TOKENS
    work_done_token: int | str | None = None


class ChatParams(_ChatPlace, frozen=True, kw_only=True, rename="camel"):
    """A message of the user."""

    message: str
    session: str = ""
    allowed_functions: list[str] | None = None
    partial_result_token: int | str | None = None
    show_thinking: bool = False
    instructions: str = ""
    temperature: float | None = None
    context_tokens: int = 0
    code_only: bool = False


class CloseParams(msgspec.Struct, frozen=True):
    """The conversation to forget."""

    session: str


class GenerateParams(_ChatPlace, frozen=True, kw_only=True, rename="camel"):
    """A prompt, and the JSON schema of the answer."""

    prompt: str
    schema: dict[str, Any]


def register(server: LanguageServer, session: Session) -> None:
    """Answer the requests."""

    async def chat(what: Any) -> dict[str, Any]:
        from nearfield.features.chat.protocol import Ask, ChatWishes

        params = wire.read(ChatParams, what)
        snapshot, span = _place(session, params)
        talk = chats_of(session, await session.built_service())
        names = params.allowed_functions
        ask = Ask(
            message=params.message,
            session=params.session,
            workspace=_workspace(session, params, snapshot),
            snapshot=snapshot,
            selection=span,
            functions=tuple(names) if names is not None else None,
            role=params.role,
            max_tokens=_limit(params.max_tokens),
            wishes=ChatWishes(params.instructions, params.temperature, params.context_tokens),
            code_only=params.code_only,
            goes_on=bool(params.session),
        )
        CLIENT_TOKEN.set(params.work_done_token)
        async with shown_work(session.protocol, "Nearfield: answering"):
            listener = _Progress(session, params.partial_result_token, thinks=params.show_thinking)
            return as_dict(await talk.say(ask, listener))

    def close(what: Any) -> dict[str, bool]:
        name = wire.read(CloseParams, what).session
        return {"closed": session.chats is not None and session.chats.close(name)}

    async def generate(what: Any) -> dict[str, Any]:
        params = wire.read(GenerateParams, what)
        snapshot, span = _place(session, params)
        service = await session.built_service()
        CLIENT_TOKEN.set(params.work_done_token)
        async with shown_work(session.protocol, "Nearfield: generating"):
            return await _generated(session, service, params, snapshot, span)

    server.feature(CHAT)(chat)
    server.feature(CLOSE)(close)
    server.feature(GENERATE)(generate)


def as_dict(reply: Reply) -> dict[str, Any]:
    """The answer to `nearfield/chat`."""
    return {
        "session": reply.session,
        "text": reply.text,
        "provider": reply.provider,
        "model": reply.model,
        "finish": reply.finish.value,
        "wrong": reply.wrong,
        "notes": list(reply.notes),
        "calls": [_call(report) for report in reply.calls],
    }


class _Progress:
    """Tells the client how an answer comes, where it gave a token for that."""

    def __init__(self, session: Session, token: int | str | None, *, thinks: bool) -> None:
        self._thinks = thinks
        self._protocol = session.protocol
        self._token = token

    def text(self, text: str) -> None:
        """See `Listener`."""
        self._say({"kind": "text", "text": text})

    def thinking(self, text: str) -> None:
        """See `Listener`."""
        if self._thinks:
            self._say({"kind": "thinking", "text": text})

    def restart(self) -> None:
        """See `Listener`."""
        self._say({"kind": "restart"})

    def call(self, report: CallReport) -> None:
        """See `Listener`."""
        self._say({"kind": "call", **_call(report)})

    def _say(self, value: dict[str, Any]) -> None:
        if self._token is not None:
            self._protocol.notify(types.PROGRESS, types.ProgressParams(self._token, value))


def _call(report: CallReport) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": report.id,
        "name": report.name,
        "arguments": dict(report.arguments),
        "state": report.state.value,
    }
    return {**told, "result": report.result} if report.result else told


def chats_of(session: Session, service: Service) -> ChatService:
    """Return the session's conversations, made at the first chat."""
    if session.chats is None:
        from nearfield.features.chat.chat import ChatService
        from nearfield.features.chat.kept_chats import KeptChats
        from nearfield.lsp.chat_host import EditorHost

        host = EditorHost(session)
        session.chats = ChatService(
            service,
            host,
            knowledge=lambda: service.knowledge,
            ask_user=host.ask_user,
            kept=KeptChats(),
        )
    return session.chats


def _limit(tokens: int) -> int:
    """Return the maximum tokens of an answer; clients without a limit write 0 or -1."""
    return tokens if tokens > 0 else TOKENS


def _place(session: Session, params: _ChatPlace) -> tuple[Snapshot | None, Span | None]:
    """The document it is asked in, and what is selected there."""
    if params.text_document is None:
        return None, None
    document = document_of(session, params.text_document.uri)
    if params.range is None:
        return document.snapshot(), None
    span = span_of(document, params.range, None, session.protocol.encoding)
    return document.snapshot(), span if span.end > span.start else None


def _workspace(session: Session, params: _ChatPlace, snapshot: Snapshot | None) -> str:
    """The folder that it is about: one of the workspace's."""
    roots = session.documents.roots
    if params.workspace:
        if params.workspace not in roots:
            raise JsonRpcInvalidParams("That is no folder of the workspace.")
        return params.workspace
    return (snapshot.root if snapshot is not None else None) or next(iter(roots), "")


async def _generated(
    session: Session,
    service: Service,
    params: GenerateParams,
    snapshot: Snapshot | None,
    span: Span | None,
) -> dict[str, Any]:
    from nearfield.features.chat.structured import structured
    from nearfield.features.trace import RequestMetrics
    from nearfield.json_schema import SchemaUnusable
    from nearfield.lsp.chat_host import EditorHost
    from nearfield.routing.request_context import RequestContext, Task
    from nearfield.routing.router import built
    from nearfield.types import Message, Role, Surface

    router = built(service.router)
    text, sources = _shown(snapshot, span)
    context = RequestContext(
        Task.CHAT,
        _workspace(session, params, snapshot),
        sources,
        accepted=service.offers.take(_workspace(session, params, snapshot), Task.CHAT),
        ask=EditorHost(session).ask_user,
    )
    try:
        with RequestMetrics(service.traces, Surface.GENERATED, snapshot) as account:
            found = await structured(
                router,
                (Message(Role.USER, params.prompt + text),),
                params.schema,
                context,
                role=params.role,
                max_tokens=_limit(params.max_tokens),
                account=account,
            )
    except SchemaUnusable as error:
        raise JsonRpcInvalidParams(str(error)) from error
    return {"value": found.value, "provider": found.provider, "model": found.model}


def _shown(snapshot: Snapshot | None, span: Span | None) -> tuple[str, tuple[Source, ...]]:
    """Return the selection as text to put after the prompt, with its source."""
    from nearfield.routing.request_context import Source

    if snapshot is None or span is None:
        return "", ()
    piece = snapshot.text[span.start : span.end]
    path = snapshot.path or snapshot.uri
    return f"\n\n```{snapshot.language}\n{piece}\n```", (Source(path, span, piece),)
