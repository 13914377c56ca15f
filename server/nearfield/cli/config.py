"""`nearfield config`: which settings are in force, where each comes from, what each means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from nearfield.cli.output import ExitCode, emit, fail, print_json, say

app = typer.Typer(no_args_is_help=True, help="Show the settings, and where they come from.")

HIDDEN = "(hidden)"
NOT_SET = "not set; you choose the name"


class Row(NamedTuple):
    """A setting in force, as it may be seen."""

    key: tuple[str, ...]
    value: Any
    source: str


Workspace = Annotated[
    Path, typer.Option(help="The workspace folder whose .nearfield.toml counts as well.")
]


@app.command("path")
def path(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print where your settings file is, or would be."""
    from nearfield.config.paths import user_config_file

    file = user_config_file()
    if as_json:
        print_json({"path": str(file), "exists": file.is_file()})
    else:
        emit(str(file))


@app.command("show")
def show(
    workspace: Workspace = Path(),
    docs: Annotated[bool, typer.Option("--docs", help="Print what each setting means.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every setting in force, with where it comes from. Secrets are not shown.

    Exit code 2 when a setting could not be used.
    """
    from nearfield.config.keys import dotted
    from nearfield.config.load import DEFAULT, effective, load

    loaded = load(workspace.resolve())
    rows = [
        Row(key, shown(key, value), loaded.sources.get(dotted(key), DEFAULT))
        for key, value in effective(loaded.config).items()
    ]
    if as_json:
        print_json(
            {
                "settings": {
                    dotted(row.key): {
                        "value": row.value,
                        "source": row.source,
                        **({"doc": _doc(row.key)} if docs else {}),
                    }
                    for row in rows
                },
                "problems": [
                    {name: getattr(problem, name) for name in ("source", "key", "wrong", "used")}
                    for problem in loaded.problems
                ],
            }
        )
    else:
        _print_rows(_with_unnamed(rows) if docs else rows, docs=docs)
        for problem in loaded.problems:
            say(f"problem: {problem}")
    if loaded.problems:
        raise typer.Exit(ExitCode.USAGE)


@app.command("set")
def set_setting(
    key: Annotated[str, typer.Argument(help="The setting, such as completion.deadline_ms.")],
    value: Annotated[
        str, typer.Argument(help="Its value; lists with commas or as JSON, tables as JSON.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write one setting into your settings file; comments and every other line stay.

    Exit code 2, and nothing is written, for a setting that there is not, a value that it cannot
    have, and a key or password.
    """
    from nearfield.config import edit
    from nearfield.config.check import Checked
    from nearfield.config.keys import dotted
    from nearfield.config.load import DEFAULT, file_problems, load
    from nearfield.config.paths import user_config_file
    from nearfield.config.schema import ProviderSettings
    from nearfield.providers.registry import build

    path, parts = user_config_file(), tuple(key.removeprefix("nearfield.").split("."))
    _refuse_secret(parts, value)
    checked = Checked()
    checked.put(parts, value, "", text=True)
    for finding in checked.findings:
        fail(f"{dotted(finding.key)}: {finding.wrong}.", _HOW)
    if not checked.values:
        fail(f"{key} holds nothing.", _HOW)
    before = edit.read_tables(path)
    after = before
    for leaf, said in checked.values.items():
        after = edit.with_value(after, leaf, said, path)
    known = set(file_problems(before, str(path)))
    for problem in file_problems(after, str(path)):
        if problem not in known:
            hint = _PROVIDER if problem.key.startswith("providers.") else _HOW
            fail(f"{problem.key}: {problem.wrong}.", hint)
    for name in {leaf[1] for leaf in checked.values if leaf[0] == "providers"}:
        build(name, msgspec.convert(after["providers"][name], ProviderSettings))
    for leaf, said in checked.values.items():
        edit.put(path, leaf, said)
    loaded = load()
    for leaf in checked.values:
        source = loaded.sources.get(dotted(leaf), DEFAULT)
        if source not in (str(path), DEFAULT):
            say(f"note: {source} says otherwise, and counts more.")
    if as_json:
        print_json({"key": key, "config": str(path)})
    else:
        emit(f"{key} is set ({path}).")


@app.command("unset")
def unset(
    key: Annotated[str, typer.Argument(help="The setting, or a table such as providers.ollama.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take a setting out of your settings file. Exit code 1 when it is not there."""
    from nearfield.config import edit
    from nearfield.config.paths import user_config_file

    path = user_config_file()
    was_there = edit.drop(path, tuple(key.removeprefix("nearfield.").split(".")))
    if as_json:
        print_json({"key": key, "config": str(path), "removed": was_there})
    elif was_there:
        emit(f"{key} is taken out ({path}).")
    else:
        say(f"{path} does not set {key}.")
    if not was_there:
        raise typer.Exit(ExitCode.NOTHING)


_HOW = "`nearfield config show --docs` prints every setting."
_PROVIDER = "Begin with its kind: `nearfield config set providers.NAME.kind ollama`."


def _refuse_secret(key: tuple[str, ...], value: str) -> None:
    """End the command for a key or a password: a settings file is shown, copied and committed."""
    if key[0] != "providers" or len(key) < 3:
        return
    hint = (
        f"Run `nearfield keys set {key[1]}`, which keeps it in the system's keyring, or put the"
        f" name of an environment variable into providers.{key[1]}.options.api_key_env."
    )
    if key[-1].endswith("_env"):
        if value and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
            fail(f"{'.'.join(key)} takes the name of a variable, not a key.", hint)
    elif key[-1] != "headers" and HIDDEN in str(shown(key, value)):
        fail(f"{'.'.join(key)} would hold a key or a password.", hint)


def shown(key: tuple[str, ...], value: Any) -> Any:
    """The value as it may be seen: without secrets in options and without passwords in URLs."""
    if key[0] == "providers" and _is_hidden(key[-1]):
        return HIDDEN
    if key[0] == "providers" and isinstance(value, Mapping):
        return {str(inner): shown((*key, str(inner)), held) for inner, held in value.items()}
    if key[0] == "providers" and isinstance(value, list):
        return [shown(key, held) for held in value]
    if isinstance(value, str) and "://" in value:
        scheme, _, rest = value.partition("://")
        server, slash, path = rest.partition("/")
        user, at, host = server.rpartition("@")
        return f"{scheme}://{HIDDEN if user else ''}{at}{host}{slash}{path.partition('?')[0]}"
    return value


def _is_hidden(name: str) -> bool:
    """Return whether a provider's value under `name` may be a key; a variable's name is none."""
    from nearfield.config.secret_words import says_secret

    name = name.lower()
    if name.endswith("_env"):
        return False
    return says_secret(name) is not None or name == "key" or "header" in name


def _with_unnamed(rows: Sequence[Row]) -> list[Row]:
    """Return `rows`, and one for each setting whose name the user chooses and has not."""
    from nearfield.config.keys import ANY_NAME, Leaf, field_leaves, find, leaves
    from nearfield.config.schema import Config

    there = {found.pattern for row in rows if isinstance(found := find(row.key), Leaf)}
    unnamed = [
        Row(leaf.pattern, None, NOT_SET)
        for leaf in leaves()
        if ANY_NAME in leaf.pattern and leaf.pattern not in there
    ]
    sections = list(field_leaves(Config))
    return sorted([*rows, *unnamed], key=lambda row: sections.index(row.key[0]))


def _print_rows(rows: Sequence[Row], *, docs: bool) -> None:
    from rich.text import Text

    from nearfield.cli.console import Console
    from nearfield.config.keys import dotted
    from nearfield.config.load import show as written

    console = Console(soft_wrap=True)
    section = ""
    for row in rows:
        if section != row.key[0]:
            section = row.key[0]
            console.print(Text(f"[{section}]", style="bold"))
        line = Text(f"{dotted(row.key)} = ")
        line.append("…" if row.source == NOT_SET else written(row.value), style="cyan")
        line.append(f"  # {row.source}", style="dim")
        console.print(line)
        if docs and (doc := _doc(row.key)):
            console.print(Text(f"    {doc}", style="dim"))


def _doc(key: tuple[str, ...]) -> str:
    from nearfield.config.keys import Leaf, find

    found = find(key)
    return found.doc if isinstance(found, Leaf) else ""
