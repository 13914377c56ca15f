"""Nothing opens a file but the few modules that may: a reader of a workspace's files goes through
`files.workspace`, and our own files are made by `files.private`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import nearfield

ROOT = Path(nearfield.__file__).parent
READ = {
    "files/read.py": "is how a file of unknown kind is read",
    "files/workspace.py": "is how a file of a workspace is read",
    "files/private.py": "is how our own files are read and made",
    "files/open_folder.py": "is how a file of a workspace is written",
    "files/encoding.py": "decodes what the user names",
    "files/ignore.py": "reads ignore files, which close when they cannot be read",
    "files/git_config.py": "reads git's configuration",
    "cli/named.py": "reads what the user names",
    "features/review/reviewer.py": "reads the file that the user names",
    "providers/scripted.py": "reads the script that the user's settings name",
    "catalog/disk.py": "verifies downloaded models",
    "catalog/download.py": "writes downloaded models",
    "catalog/gguf.py": "reads models that the user adds",
    "catalog/models.py": "reads the packaged catalogue and the user's own",
    "catalog/partial_file.py": "continues a download",
    "config/edit.py": "reads the settings before it changes them",
    "catalog/wheels.py": "reads the log of its own compiler run",
    "cli/audit.py": "writes the export that the user names",
    "features/doctor/checks.py": "reads /proc/cpuinfo",
    "config/load.py": "reads the settings",
    "engine/llama.py": "reads the head of a model",
    "engine/onnx_worker.py": "reads the folder of a model that the settings name",
    "features/team/settings.py": "reads the file that the operator names",
    "features/token.py": "reads the token, which others may not have read",
    "index/early_store.py": "reads our own vectors",
    "index/embedder.py": "reads the packaged tokenizer",
    "index/schema_store.py": "makes a folder in memory where the cache cannot be written",
    "index/static_embedder.py": "reads a table of words",
    "index/tags.py": "reads packaged queries",
    "index/understand.py": "opens the null device in place of standard input",
    "lsp/transport.py": "takes over standard input and output",
    "panel/page.py": "reads the packaged files of the page",
    "panel/routing.py": "reads the file that the user names",
    "routing/store.py": "opens our own databases",
    "terminal.py": "opens the null device in place of a closed stream",
    "testing/editor.py": "is an editor, for tests",
    "cli/patch.py": "makes the folder of a new test file",
}
"""The modules that may open files by themselves, and why."""
METHODS = {
    "read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "makedirs", "touch",
    "mkstemp", "mkdtemp", "fromfile", "memmap", "loadtxt",
}  # fmt: skip
FUNCTIONS = {
    "os.open", "io.open", "codecs.open", "tempfile.NamedTemporaryFile", "shutil.copy",
    "shutil.copyfile", "shutil.copy2", "sqlite3.connect", "linecache.getline", "fileinput.input",
    "tokenize.open", "mmap.mmap",
}  # fmt: skip


NAMES = {"open", "FileIO", "read_regular", "read_text", "text_file"}


def called(call: ast.Call) -> str:
    """What a call opens a file with, "" for another call."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id if function.id in NAMES else ""
    if not isinstance(function, ast.Attribute):
        return ""
    whole = ast.unparse(function)
    if whole in FUNCTIONS or function.attr in METHODS:
        return whole
    if function.attr != "open" or not call.args:
        return ""
    mode = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
    opens_path = isinstance(mode, str) and set(mode) <= set("rwaxbt+")
    return whole if opens_path else ""


def opened(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (name := called(node)):
            yield node.lineno, name


def test_only_named_modules_open_files() -> None:
    found: dict[str, list[tuple[int, str]]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if calls := list(opened(path.read_text("utf-8"))):
            found[name] = calls
    others = {name: calls for name, calls in found.items() if name not in READ}
    assert others == {}, "read a workspace's files by nearfield.files.workspace"
    assert sorted(set(READ) - set(found)) == [], (
        "these open nothing any more: take them off the list"
    )


def test_every_way_of_opening_is_seen() -> None:
    ways = [
        "open(p)", "io.open(p)", "os.open(p, 0)", "p.read_text()", "p.read_bytes()",
        "p.open('rb')", "Path(p).write_text('')", "p.mkdir()", "read_regular(p, 9)",
        "text_file(p, 9)", "sqlite3.connect(p)", "FileIO(p)",
    ]  # fmt: skip
    assert [way for way in ways if not list(opened(way))] == []
    assert list(opened("documents.open(uri, text); bar.open(); archive.open(member)")) == []
