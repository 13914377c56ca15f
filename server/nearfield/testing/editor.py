"""The headless editor: a session with a server, its folder, its settings and its buffers."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nearfield.config.environment import ALIASES, FUNCTIONS, PREFIX
from nearfield.files.uris import path_of, uri_of
from nearfield.testing.buffer import Buffer
from nearfield.testing.connection import Connection, Failed

Answers = Mapping[str, str] | Sequence[Mapping[str, Any]]
"""For `answers`: texts by a regular expression for the text before the cursor, or the tables of
`nearfield/providers/scripted.py`.
"""

CAPABILITIES: Mapping[str, Any] = {
    "general": {"positionEncodings": ["utf-32"]},
    "textDocument": {
        "inlineCompletion": {},
        "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
        "hover": {"contentFormat": ["markdown"]},
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": [""]}},
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit"]},
        },
    },
    "window": {"workDoneProgress": True},
    "workspace": {
        "applyEdit": True,
        "configuration": True,
        "workspaceEdit": {"documentChanges": True, "resourceOperations": ["create"]},
    },
}
"""The editor's capabilities."""

LANGUAGES = {
    ".c": "c", ".cpp": "cpp", ".cs": "csharp", ".css": "css", ".go": "go", ".html": "html",
    ".java": "java", ".js": "javascript", ".json": "json", ".kt": "kotlin", ".lua": "lua",
    ".md": "markdown", ".php": "php", ".py": "python", ".rb": "ruby", ".rs": "rust",
    ".scala": "scala", ".sh": "shellscript", ".sql": "sql", ".swift": "swift", ".toml": "toml",
    ".ts": "typescript", ".tsx": "typescriptreact", ".yaml": "yaml", ".yml": "yaml",
}  # fmt: skip


class Editor:
    """See the module; made by `start`. `messages` are the windows that popped up, `status` what the
    server last said of itself. `choice` is the button that is pressed when the server asks
    something; "" closes the question. What is edited stays in the buffers: no file is written."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], folder: Path, patience_s: float
    ) -> None:
        self.folder = folder
        self.messages: list[str] = []
        self.status: dict[str, Any] = {}
        self.choice = ""
        self.settings: dict[str, Any] = {}
        self.buffers: dict[str, Buffer] = {}
        self.connection = Connection(command, environ, self._handle, patience_s)

    def open(self, path: str, text: str | None = None, language: str = "") -> Buffer:
        """Open a file of the folder, which need not exist when its `text` is given or is "": the
        file's own when it does."""
        file = (self.folder / path).absolute()
        if text is None:
            text = file.read_bytes().decode() if file.exists() else ""
        language = language or LANGUAGES.get(file.suffix, "plaintext")
        buffer = Buffer(self, uri_of(file), language, text)
        self.buffers[buffer.uri] = buffer
        return buffer

    def ready(self) -> None:
        """Wait until completions can be had. Raises `Failed`, with what the server says."""
        self.connection.wait(
            lambda: self.status.get("state") in ("ready", "unavailable"), "status `ready`"
        )
        if self.status["state"] != "ready":
            raise Failed(f"The server is {self.status['state']}: {self.status.get('detail')}")

    def request(self, method: str, params: Any = None) -> Any:
        """Any request."""
        return self.connection.request(method, params)

    def execute(self, command: Mapping[str, Any]) -> Any:
        """Run a command of the server's, as it came with an item or an action."""
        params = {"command": command["command"], "arguments": command.get("arguments", [])}
        return self.connection.request("workspace/executeCommand", params)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Other settings from now on."""
        self.settings = dict(settings)
        params = {"settings": {"nearfield": self.settings}}
        self.connection.notify("workspace/didChangeConfiguration", params)

    def apply(self, edit: Mapping[str, Any]) -> None:
        """Apply a `WorkspaceEdit` to the buffers; files that are not open are opened. Raises
        `Failed` for an edit of another version, and for what no editor would take."""
        for change in edit.get("documentChanges", ()):
            if change.get("kind") == "create":
                self._opened(change["uri"])
                continue
            if "edits" not in change:
                raise Failed(f"The headless editor does no {change.get('kind')!r}.")
            document = change["textDocument"]
            buffer = self._opened(document["uri"])
            if document.get("version") not in (None, buffer.version):
                raise Failed(f"The edit is for version {document['version']}, not of now.")
            buffer.edit(change["edits"])
        for uri, edits in edit.get("changes", {}).items():
            self._opened(uri).edit(edits)

    def _opened(self, uri: str) -> Buffer:
        if uri in self.buffers:
            return self.buffers[uri]
        path = path_of(uri)
        if path is None:
            raise Failed(f"The headless editor has no file for {uri}.")
        return self.open(path)

    def _handle(self, method: str, params: Any) -> Any:
        """Handle a notification or a request of the server."""
        match method:
            case "nearfield/status":
                self.status = params
            case "window/showMessage":
                self.messages.append(params["message"])
            case "window/showMessageRequest":
                self.messages.append(params["message"])
                offered = params.get("actions") or ()
                return next((one for one in offered if one["title"] == self.choice), None)
            case "workspace/configuration":
                return [self.settings for _ in params["items"]]
            case "workspace/applyEdit":
                self.apply(params["edit"])
                return {"applied": True}
            case "textDocument/publishDiagnostics":
                if params["uri"] in self.buffers:
                    self.buffers[params["uri"]].diagnostics = params["diagnostics"]
            case _:
                pass
        return None


@contextmanager
def start(
    folder: str | os.PathLike[str] = ".",
    *,
    answers: Answers | None = None,
    settings: Mapping[str, Any] | None = None,
    capabilities: Mapping[str, Any] = CAPABILITIES,
    environ: Mapping[str, str] | None = None,
    wait_ready: bool = True,
    patience_s: float = 30.0,
) -> Generator[Editor]:
    """An editor with `folder` open, over a server of its own that ends with it.

    With `answers` a script answers, and the user's settings, models and keys are not seen. The
    editor's `settings` (those under `nearfield`) go on top in any case. `environ` is added to the
    process's. Whatever takes longer than `patience_s` raises `Failed`.
    """
    root = Path(folder).absolute()
    with tempfile.TemporaryDirectory(prefix="nearfield-testing-") as home:
        around = {**os.environ} if answers is None else _isolated(Path(home))
        command = [sys.executable, "-m", "nearfield", "serve", "--stdio"]
        editor = Editor(command, {**around, **(environ or {})}, root, patience_s)
        editor.settings = {
            **(_scripted(answers) if answers is not None else {}),
            **(settings or {}),
        }
        try:
            editor.request(
                "initialize",
                {
                    "processId": os.getpid(),
                    "clientInfo": {"name": "nearfield.testing"},
                    "capabilities": dict(capabilities),
                    "initializationOptions": editor.settings,
                    "workspaceFolders": [{"uri": uri_of(root), "name": root.name}],
                },
            )
            editor.connection.notify("initialized", {})
            if wait_ready:
                editor.ready()
            yield editor
        finally:
            editor.connection.end()


def _isolated(home: Path) -> dict[str, str]:
    """The process's environment, with nothing in it that is the user's own."""
    folders = ("HOME", "LOCALAPPDATA", "APPDATA", "USERPROFILE", "XDG_CACHE_HOME")
    folders += ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "NEARFIELD_CONFIG_DIR", "NEARFIELD_DATA_DIR")
    settings = {*ALIASES, FUNCTIONS}
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) and name not in settings and not name.endswith("_API_KEY")
    }
    return {**kept, **{name: str(home / name.lower()) for name in folders}}


def _scripted(answers: Answers) -> dict[str, Any]:
    tables: list[Mapping[str, Any]] = (
        [{"match": match, "text": text} for match, text in answers.items()]
        if isinstance(answers, Mapping)
        else list(answers)
    )
    roles = ("complete", "fast", "code", "large", "review")
    return {
        "engine": {"enabled": False},
        "providers": {"script": {"kind": "scripted", "options": {"answers": tables}}},
        "routing": {"roles": {role: ["script"] for role in roles}},
    }
