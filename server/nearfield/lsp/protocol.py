"""The protocol over pygls: permitted requests, and the one place where answers leave.

* Every request is answered exactly once. `_send_response` is the only way out; an answer to a
  request that has been answered is dropped there.
* Params are read as clients mean them (`lenient.py`). Meaningless ones are answered with
  InvalidParams (pygls never answers it). `when_unreadable` has the handlers of notifications that
  cannot be read.
* Before `initialize` requests get ServerNotInitialized, after `shutdown` InvalidRequest.
* Errors are logged by type and place only, and sent to the client without a traceback: a foreign
  message may quote a document.

pygls 2.1 keeps its feature registry, its table of futures, the requests to the client and the
capabilities. Its reading loop, its document model and its generator handlers are not used. The
overridden names with an underscore are the reason why pygls is pinned to its minor version.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from enum import Enum
from functools import partial
from typing import Any, TypeAlias, TypeGuard

import cattrs
import cattrs.errors
from lsprotocol import types
from pygls.capabilities import ServerCapabilitiesBuilder
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcMethodNotFound,
    JsonRpcRequestCancelled,
)
from pygls.protocol import LanguageServerProtocol

from nearfield.coerce import CoercionError
from nearfield.errors import NearfieldError
from nearfield.lsp import frames
from nearfield.lsp.frames import Garbage
from nearfield.lsp.lenient import PARAMS
from nearfield.tasks import describe

log = logging.getLogger(__name__)

CLIENT_TOKEN: contextvars.ContextVar[types.ProgressToken | None] = contextvars.ContextVar(
    "client_token", default=None
)
"""The progress token that came with the command that is running."""

MsgId: TypeAlias = int | str

_STATES = ("nearfield/status", "didChangeStatus")

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INTERNAL_ERROR = -32603
NOT_INITIALIZED = -32002
REQUEST_FAILED = -32803

COPILOT_CLIENT = "editorPluginInfo"
"""What clients made for Copilot's server say of themselves in their `initializationOptions`. Some
count in UTF-16 units whatever was agreed, so that is what is agreed with them."""


_UNREADABLE = (
    cattrs.BaseValidationError,
    cattrs.errors.CattrsError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    RecursionError,
)
"""Errors that cattrs raises for data of another shape."""


class SessionPhase(Enum):
    """Phase of the session's lifecycle."""

    NEW = "new"
    INITIALIZING = "initializing"
    RUNNING = "running"
    SHUT_DOWN = "shut down"


class NearfieldProtocol(LanguageServerProtocol):
    """A session with one client. `receive` takes in messages, in order, on the event loop."""

    def __init__(self, server: Any, converter: cattrs.Converter) -> None:
        super().__init__(server, converter)
        self.phase = SessionPhase.NEW
        self.encoding: str = types.PositionEncodingKind.Utf16.value
        self.stop: Callable[[], None] = _nothing
        self.notebook_sync: types.NotebookDocumentSyncOptions | None = None
        """The notebooks that are followed."""
        self.withheld: set[str] = set()
        """Methods that are answered but not advertised to this client."""
        self.when_unreadable: dict[str, Callable[[Any], None]] = {}
        """Handlers of a notification's raw params that cannot be read, by method."""
        self.when_shut_down: Callable[[], Awaitable[None]] | None = None
        """Called before `shutdown` is answered, once nothing else runs."""
        self.active = threading.Event()
        """Set at each message from the client."""
        self._unanswered: set[MsgId] = set()

    @property
    def exit_code(self) -> int:
        """Return the exit code of the process: 0 only after `shutdown`."""
        return 0 if self.phase is SessionPhase.SHUT_DOWN else 1

    def _register_builtin_features(self) -> None:
        for method, handler in (
            (types.INITIALIZE, self._initialize),
            (types.SHUTDOWN, self._shut_down),
            (types.EXIT, self._exit),
            (types.SET_TRACE, self._set_trace),
            (types.WORKSPACE_EXECUTE_COMMAND, self._execute_command),
            (types.WINDOW_WORK_DONE_PROGRESS_CANCEL, self._cancel_progress),
        ):
            self.fm.add_builtin_feature(method, handler)

    # --- incoming messages -----------------------------------------------------------------------

    def receive(self, message: Any | Garbage) -> None:
        """Handle one message from the client, whatever it is."""
        self.active.set()
        if isinstance(message, Garbage):
            log.warning("garbage from the client: %s", message.what)
            self._refuse(None, PARSE_ERROR, message.what)
            return
        if not isinstance(message, dict):
            self._refuse(None, INVALID_REQUEST, "A message must be a JSON object.")
            return
        method: Any = message.get("method")
        msg_id = _id_in(message)
        params: Any = message.get("params")
        if "id" in message and not _is_id(msg_id):
            if method is not None:
                self._refuse(None, INVALID_REQUEST, "The id of a request must be text or a number.")
        elif method is None and ("result" in message or "error" in message):
            self._response(msg_id, message)
        elif not isinstance(method, str):
            self._refuse(msg_id, INVALID_REQUEST, "A message needs the name of its method.")
        elif msg_id is None:
            # Each handler runs in a context of its own, which holds the id of its request.
            contextvars.copy_context().run(self._notification, method, params)
        else:
            contextvars.copy_context().run(self._request, msg_id, method, params)

    def _request(self, msg_id: MsgId, method: str, params: Any) -> None:
        if msg_id in self._unanswered:
            self._refuse(msg_id, INVALID_REQUEST, "This id belongs to an unanswered request.")
            return
        self._unanswered.add(msg_id)
        if refusal := self._refusal(method):
            self._send_response(msg_id, error=refusal)
            return
        try:
            handler = self._get_handler(method)
            structured = self._structure(method, params)
        except JsonRpcException as error:
            log.warning("request %s %s refused: %s", msg_id, method, error.message)
            self._send_response(msg_id, error=error.to_response_error())
            return
        self._ctx_msg_id.set(msg_id)
        answer = partial(self._send_handler_result, msg_id=msg_id)
        self._execute_handler(msg_id, handler, answer, (structured,))

    def _refusal(self, method: str) -> types.ResponseError | None:
        """Return why a request may not be made now."""
        if self.phase is SessionPhase.SHUT_DOWN:
            return types.ResponseError(INVALID_REQUEST, "The server has been shut down.")
        if method == types.INITIALIZE and self.phase is not SessionPhase.NEW:
            return types.ResponseError(INVALID_REQUEST, "The server is initialized already.")
        if method != types.INITIALIZE and self.phase is not SessionPhase.RUNNING:
            return types.ResponseError(NOT_INITIALIZED, "Send `initialize` first.")
        return None

    def _notification(self, method: str, params: Any) -> None:
        if method == types.CANCEL_REQUEST:
            self._cancel(params)
            return
        if method != types.EXIT and self.phase is not SessionPhase.RUNNING:
            log.warning("notification %s dropped: the server is %s", method, self.phase.value)
            return
        try:
            handler = self._get_handler(method)
            structured = self._structure(method, params)
        except JsonRpcMethodNotFound:
            log.debug("notification %s is not known here", method)
            return
        except JsonRpcException as error:
            log.warning("notification %s dropped: %s", method, error.message)
            if (told := self.when_unreadable.get(method)) is not None:
                told(params)
            return
        done = partial(self._check_handler_result, method=method)
        self._execute_handler(f"notification {method}", handler, done, (structured,))

    def _structure(self, method: str, params: Any) -> Any:
        """The params of a standard method as lsprotocol's type; of any other as they came."""
        kind = types.METHOD_TO_TYPES.get(method, (None, None, None))[2]
        if kind is None:
            return params
        try:
            if kind is types.InitializeParams:
                return self._structure_initialize(params)
            return self._converter.structure(
                PARAMS.coerce(kind, {} if params is None else params), kind
            )
        except CoercionError as error:
            what = f"The params are not as LSP says: missing or wrong @ {error.place}."
            raise JsonRpcInvalidParams(what) from error
        except _UNREADABLE as error:
            what = f"The params are not as LSP says: {_places(error)}."
            raise JsonRpcInvalidParams(what) from error

    def _structure_initialize(self, params: Any) -> types.InitializeParams:
        """`initialize` decides about the whole session: what cannot be read of it is left out."""
        if not isinstance(params, dict):
            params = {}
        params = PARAMS.coerce(types.InitializeParams, params)
        needed: dict[str, Any] = {"processId": None, "capabilities": {}}
        capabilities = params.get("capabilities")
        if isinstance(capabilities, dict):
            needed["capabilities"] = self._readable(types.ClientCapabilities, capabilities, {})
        kept = self._readable(
            types.InitializeParams, {**params, "capabilities": needed["capabilities"]}, needed
        )
        return self._converter.structure({**needed, **kept}, types.InitializeParams)

    def _readable(
        self, kind: type[Any], fields: dict[str, Any], needed: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the fields of `fields` that the type `kind` can hold."""
        kept: dict[str, Any] = {}
        for name, value in fields.items():
            try:
                self._converter.structure({**needed, name: value}, kind)
            except _UNREADABLE as error:
                log.warning("initialize: %s ignored: %s", name, _places(error))
            else:
                kept[name] = value
        return kept

    def _response(self, msg_id: MsgId, message: dict[str, Any]) -> None:
        """Handle the client's answer to a request of the server."""
        if msg_id not in self._result_types:
            log.debug("answer to an unknown request")
            return
        kind = self._result_types.pop(msg_id)
        future = self._request_futures.pop(msg_id, None)
        if future is None or future.done():
            return
        error = message.get("error")
        try:
            if error is not None:
                failure = self._converter.structure(error, types.ResponseError)
                future.set_exception(JsonRpcException.from_error(failure))
            else:
                result = message.get("result")
                if kind is not None:
                    result = self._converter.structure(message, kind).result
                future.set_result(result)
        except _UNREADABLE as wrong:
            future.set_exception(JsonRpcInvalidParams(f"The answer is wrong: {_places(wrong)}."))

    def _cancel(self, params: Any) -> None:
        msg_id = _id_in(params) if isinstance(params, dict) else None
        if _is_id(msg_id) and msg_id in self._unanswered:
            future = self._request_futures.get(msg_id)
            if future is not None:
                future.cancel()

    # --- outgoing messages ------------------------------------------------------------------------

    def _send_handler_result(self, future: Future[Any], *, msg_id: MsgId) -> None:
        self._request_futures.pop(msg_id, None)
        if future.cancelled():
            cancelled = JsonRpcRequestCancelled().to_response_error()
            self._send_response(msg_id, error=cancelled)
        elif (error := future.exception()) is not None:
            self._send_response(msg_id, error=_answer_of(error, msg_id))
        else:
            self._send_response(msg_id, future.result())

    def _check_handler_result(self, future: Future[Any], method: str = "") -> None:
        error = None if future.cancelled() else future.exception()
        if isinstance(error, JsonRpcInvalidParams):
            log.warning("notification %s dropped: %s", method, error.message)
        elif error is not None:
            log.error("notification %s failed: %s", method, describe(error))

    def _send_response(
        self, msg_id: MsgId, result: Any = None, error: types.ResponseError | None = None
    ) -> None:
        if msg_id not in self._unanswered:
            log.debug("late answer to request %s dropped", msg_id)
            return
        self._unanswered.discard(msg_id)
        message: dict[str, Any] = {"jsonrpc": self.VERSION, "id": msg_id}
        try:
            message.update({"error": error} if error is not None else {"result": result})
            self._write(message)
        except (TypeError, ValueError, AttributeError) as wrong:
            log.warning("the answer to %s cannot be sent: %s", msg_id, describe(wrong))
            self._refuse(msg_id, INTERNAL_ERROR, "The answer could not be written as JSON.")

    def _refuse(self, msg_id: MsgId | None, code: int, message: str) -> None:
        """Answer what is no request that we keep account of."""
        error = {"code": code, "message": message}
        self._write({"jsonrpc": self.VERSION, "id": msg_id, "error": error})

    def _send_data(self, data: Any) -> None:
        self._write(data, _replaces(data))

    def _write(self, data: Any, replaces: str = "") -> None:
        """Send a message in place of an unsent one with the key `replaces`; answers have none."""
        if self.writer is None:
            log.debug("nobody is connected")
            return
        frame = frames.encode(data, self._serialize_message)
        self.writer.write(frame, replaces)  # pyright: ignore[reportCallIssue] - an Outbox

    # --- the session's life ---------------------------------------------------------------------

    async def _initialize(self, params: types.InitializeParams) -> types.InitializeResult:
        self.phase = SessionPhase.INITIALIZING
        self.client_capabilities = self._capabilities_of(params)
        chosen = ServerCapabilitiesBuilder.choose_position_encoding(self.client_capabilities)
        options: Any = params.initialization_options
        if isinstance(options, dict) and COPILOT_CLIENT in options:
            chosen = types.PositionEncodingKind.Utf16
        self.encoding = str(getattr(chosen, "value", chosen))
        if (prepare := self.fm.features.get(types.INITIALIZE)) is not None:
            await prepare(params)
        self.server_capabilities = ServerCapabilitiesBuilder(
            self.client_capabilities,
            {*self.fm.features, *self.fm.builtin_features} - self.withheld,
            self.fm.feature_options,
            list(self.fm.commands),
            types.TextDocumentSyncKind.Incremental,
            None,
            chosen,
        ).build()
        # pygls leaves it out for clients that do not say that they sync notebooks.
        self.server_capabilities.notebook_document_sync = self.notebook_sync
        self.phase = SessionPhase.RUNNING
        return types.InitializeResult(self.server_capabilities, self.server_info)

    def _capabilities_of(self, params: types.InitializeParams) -> types.ClientCapabilities:
        """Return the client's capabilities. `clientCapabilities` in its options overrides them, for
        users whose editor leaves out or overstates something.
        """
        options: Any = params.initialization_options
        override = options.get("clientCapabilities") if isinstance(options, dict) else None
        if not isinstance(override, dict):
            return params.capabilities
        said = self._converter.unstructure(params.capabilities)
        try:
            return self._converter.structure(_merged(said, override), types.ClientCapabilities)
        except _UNREADABLE as error:
            log.warning("clientCapabilities ignored: %s", _places(error))
            return params.capabilities

    async def _shut_down(self, *_: Any) -> None:
        own = self.msg_id
        running = [
            f for i, f in self._request_futures.items() if i in self._unanswered and i != own
        ]
        self.phase = SessionPhase.SHUT_DOWN
        for future in running:
            future.cancel()
        tasks = [future for future in running if isinstance(future, asyncio.Future)]
        if tasks:
            await asyncio.wait(tasks)
        if self.when_shut_down is not None:
            await self.when_shut_down()

    def _exit(self, *_: Any) -> None:
        self.stop()

    def _set_trace(self, params: types.SetTraceParams) -> None:
        self.trace = params.value

    async def _execute_command(self, params: types.ExecuteCommandParams) -> Any:
        """Run a command as part of this request, so that a cancel reaches it."""
        handler = self.fm.commands.get(params.command)
        if handler is None:
            raise JsonRpcInvalidParams("There is no command of that name.")
        arguments = params.arguments or []
        CLIENT_TOKEN.set(params.work_done_token)
        try:
            inspect.signature(handler).bind(*arguments)
        except TypeError as error:
            raise JsonRpcInvalidParams(f"{params.command} takes other arguments.") from error
        result = handler(*arguments)
        return await result if inspect.isawaitable(result) else result

    def _cancel_progress(self, params: types.WorkDoneProgressCancelParams) -> None:
        if (future := self.progress.tokens.get(params.token)) is not None:
            future.cancel()


def _replaces(message: Any) -> str:
    """Return a key under which only the last message matters, "" for a message that
    must be sent.
    """
    method, params = getattr(message, "method", ""), getattr(message, "params", None)
    if method in _STATES:
        return str(method)
    if method == types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS:
        return f"{method} {getattr(params, 'uri', '')}"
    value = getattr(params, "value", None)
    if method == types.PROGRESS and getattr(value, "kind", "") == "report":
        return f"{method} {getattr(params, 'token', '')!r}"
    return ""


def _id_in(message: dict[str, Any]) -> Any:
    """The id in a message. Clients whose numbers are all floats write 1.0 for 1."""
    said: Any = message.get("id")
    return int(said) if isinstance(said, float) and said.is_integer() else said


def _is_id(said: object) -> TypeGuard[MsgId]:
    """Return whether it can be the id of a request."""
    return isinstance(said, int | str) and not isinstance(said, bool)


def _answer_of(error: BaseException, msg_id: MsgId) -> types.ResponseError:
    """The error answer for a handler that raised."""
    if isinstance(error, JsonRpcException):
        return error.to_response_error()
    log.error("request %s failed: %s", msg_id, describe(error))
    if isinstance(error, NearfieldError):
        return types.ResponseError(REQUEST_FAILED, str(error))
    return types.ResponseError(INTERNAL_ERROR, "Nearfield failed; its log says where.")


def _places(error: BaseException) -> str:
    """Return where in the params the error is, without their values."""
    if not isinstance(error, cattrs.BaseValidationError):
        return "they are of another type"
    lines = cattrs.transform_error(error, format_exception=_wrong)
    return "; ".join(lines[:3])


def _wrong(_error: BaseException, _kind: type[Any] | None) -> str:
    """Return a text in place of the error's own message, which quotes the value."""
    return "missing or wrong"


def _merged(base: Any, over: Any) -> Any:
    """`over` laid over `base`, table by table."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: _merged(base.get(key), value) for key, value in over.items()}}
    return over


def _nothing() -> None:
    """Do nothing at the end."""
