"""Write the generated pages of the documentation site; the plugin gen-files of mkdocs runs this.

The repository's own documents (README, ARCHITECTURE, …) become pages with their links rewritten;
the reference comes from the schema of the settings, the command line and the message structures.
"""

from __future__ import annotations

import importlib
import pkgutil
import posixpath
import re
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Union, get_args, get_origin

import mkdocs_gen_files
import msgspec
import typer.main

import nearfield.lsp
from nearfield.cli.main import build
from nearfield.config.keys import dotted, leaves

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "conduct.md",
    "tests/bench/RESULTS.md": "results.md",
    "LICENSE": "license.md",
}
MEDIA = frozenset({".svg", ".png"})
_LINK = re.compile(r"(\]\(|src=\")([^)\s\"#]+)(#[\w-]+)?(?=[)\"])")


def write(path: str, text: str) -> None:
    """Write one page of the site."""
    with mkdocs_gen_files.open(path, "w") as file:
        file.write(text)


def repository_pages() -> None:
    """Copy the repository's documents, and the pictures that they show."""
    own = {f"docs/{file.name}": file.name for file in sorted((ROOT / "docs").glob("*.md"))}
    for source, page in {**PAGES, **own}.items():
        text = (ROOT / source).read_text("utf-8")
        if source == "LICENSE":
            text = f"# License\n\n```text\n{text}\n```\n"
        folder = posixpath.dirname(source)
        write(page, _LINK.sub(partial(_rewritten, folder), text))


def _rewritten(folder: str, match: re.Match[str]) -> str:
    """Return a link of a file in `folder` as the site's page needs it; others stay as they are."""
    start, target, anchor = match[1], match[2], match[3] or ""
    if "://" in target or target.startswith("mailto:"):
        return match[0]
    path = posixpath.normpath(posixpath.join(folder, target))
    if path in PAGES:
        return f"{start}{PAGES[path]}{anchor}"
    if path.startswith("docs/"):
        return f"{start}{path.removeprefix('docs/')}{anchor}"
    if PurePosixPath(path).suffix in MEDIA and (ROOT / path).is_file():
        copied = f"media/{PurePosixPath(path).name}"
        with mkdocs_gen_files.open(copied, "wb") as file:
            file.write((ROOT / path).read_bytes())
        return f"{start}{copied}"
    return match[0]


def settings_page() -> None:
    """Write every key of the settings with its default and its description."""
    rows = ["# All settings", "", "| key | default | meaning |", "| --- | --- | --- |"]
    rows += [
        f"| `{dotted(leaf.pattern)}` | `{_cell(leaf.default)}` | {_cell(leaf.doc)} |"
        for leaf in leaves()
    ]
    write("reference/settings.md", "\n".join(rows) + "\n")


def commands_page() -> None:
    """Write every command with its arguments and options, as `--help` describes them."""
    command = typer.main.get_command(build([]))
    write("reference/commands.md", "# Commands\n\n" + "\n".join(_command(command, "nearfield")))


def _command(command: Any, name: str) -> Iterator[str]:
    """Yield the lines for a command of typer's, or for each command of a group."""
    context = command.make_context(name, [], resilient_parsing=True)
    if name != "nearfield":
        yield f"## {name}\n\n{command.help or ''}\n"
    if hasattr(command, "commands"):
        for inner in command.list_commands(context):
            yield from _command(command.get_command(context, inner), f"{name} {inner}")
        return
    rows = [record for one in command.params if (record := _parameter(one, context))]
    if rows:
        yield "| argument or option | meaning |\n| --- | --- |"
        yield from rows
        yield ""


def _parameter(parameter: Any, context: Any) -> str:
    record = parameter.get_help_record(context)
    if record is None:
        meaning = _cell(getattr(parameter, "help", "") or "")
        return f"| `{parameter.make_metavar(context)}` | {meaning} |"
    return f"| `{_cell(record[0])}` | {_cell(record[1])} |"


def messages_page() -> None:
    """Write the fields of each structure that a message of our own has."""
    rows = ["# Message structures", ""]
    for found in sorted(_structures(), key=lambda one: (one.__name__, one.__module__)):
        rows += [f"## {found.__name__}", "", " ".join((found.__doc__ or "").split()), ""]
        rows += ["| field | type | default |", "| --- | --- | --- |"]
        for field in msgspec.structs.fields(found):
            default = "" if field.required else f"`{_cell(_default(field))}`"
            rows.append(f"| `{field.encode_name}` | `{_cell(_shown(field.type))}` | {default} |")
        rows.append("")
    write("reference/messages.md", "\n".join(rows))


def _structures() -> set[type[msgspec.Struct]]:
    found: set[type[msgspec.Struct]] = set()
    for info in pkgutil.iter_modules(nearfield.lsp.__path__):
        module = importlib.import_module(f"nearfield.lsp.{info.name}")
        for name, value in vars(module).items():
            is_struct = isinstance(value, type) and issubclass(value, msgspec.Struct)
            if is_struct and value.__module__ == module.__name__ and not name.startswith("_"):
                found.add(value)
    return found


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _shown(kind: Any) -> str:
    """Return a type as a reader of JSON would write it."""
    if get_origin(kind) in (Union, types.UnionType):
        return " | ".join(_shown(one) for one in get_args(kind))
    if kind is type(None):
        return "null"
    if get_origin(kind) in (list, tuple):
        return f"{_shown(get_args(kind)[0])}[]"
    return getattr(kind, "__name__", str(kind))


def _cell(value: Any) -> str:
    """Return a value as text that a cell of a table can hold."""
    return " ".join(str(value).split()).replace("|", "\\|")


repository_pages()
settings_page()
commands_page()
messages_page()
