"""`nearfield providers`: available providers, the provider of each role, and why others do not
serve it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.opening import settings_of
from nearfield.cli.output import ExitCode, emit, fail, print_json, say
from nearfield.features.routed import routed
from nearfield.files.links import resolved
from nearfield.terminal import notes_on_terminal

if TYPE_CHECKING:
    from nearfield.config.schema import Config
    from nearfield.providers.ollama import Ollama

app = typer.Typer(no_args_is_help=True, help="Show and try the providers of models.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workspace = Annotated[Path, typer.Option(help="The workspace folder that it is asked for.")]
Name = Annotated[str, typer.Argument(metavar="PROVIDER", help="The name in [providers.NAME].")]
Model = Annotated[
    str, typer.Argument(metavar="[MODEL]", help="The one of the settings when left out.")
]


@app.command("list")
def list_providers(workspace: Workspace = Path(), as_json: Json = False) -> None:
    """Print every provider, and for each role its provider and why others do not serve it.

    No provider is asked: the settings, your consent and the ledger decide.
    """
    from nearfield.features.endpoints import endpoints

    config = _config(workspace)
    rows, roles = asyncio.run(endpoints(config, str(resolved(workspace))))
    if as_json:
        print_json({"providers": rows, "roles": roles})
        return
    for row in rows:
        where = "this machine" if row["local"] else "outside"
        emit(f"{row['name']}: {row['kind']} {row['model'] or '(no model)'}, {where}")
    for role in roles:
        emit(f"{role.role}: {role.provider or 'nobody'}" + (f" ({role.model})" * bool(role.model)))
        for name, why in role.others:
            emit(f"    not {name}: {why}")


@app.command("probe")
def probe(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PROVIDER]...", help="All on this machine when left out."),
    ] = None,
    workspace: Workspace = Path(),
    as_json: Json = False,
) -> None:
    """Ask servers how they are. One outside this machine is asked only when it is named; no code
    is sent. Exit code 3 when none of them could answer now."""
    from nearfield.features.endpoints import probe as probed
    from nearfield.types import WOULD_ANSWER

    found, left_out = asyncio.run(probed(_config(workspace), tuple(names or ())))
    for name in left_out:
        say(f"{name} is outside this machine; `nearfield providers probe {name}` asks it.")
    if as_json:
        print_json(found)
    else:
        for row in found:
            detail = f": {row['detail']}" if row["detail"] else ""
            emit(f"{row['name']} {row['state']}{detail}")
    if all(row["state"] not in WOULD_ANSWER for row in found):
        raise typer.Exit(ExitCode.NO_PROVIDER)


@app.command("models")
def models(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[PROVIDER]", help="The name in [providers.NAME]; all when left out."
        ),
    ] = "",
    workspace: Workspace = Path(),
    as_json: Json = False,
) -> None:
    """Print the models that servers have, by asking them. One outside this machine is asked only
    when it is named; else the model of its settings is printed.

    `nearfield models use ROLE PROVIDER/MODEL` lets one serve a role.
    """
    from nearfield.features.endpoints import served

    config = _config(workspace)
    if not name:
        rows, problems = asyncio.run(served(config))
        for problem in problems:
            say(problem)
        if as_json:
            print_json(rows)
        for row in () if as_json else rows:
            emit(f"{row['provider']}/{row['model']}{'' if row['local'] else '  outside'}")
        if not rows:
            raise typer.Exit(ExitCode.NOTHING)
        return
    found = asyncio.run(_models(config, name))
    if as_json:
        print_json(found)
        return
    for model in found:
        context = f"  {model.context_tokens} tokens" if model.context_tokens else ""
        emit(f"{model.name}{context}")
    if not found:
        raise typer.Exit(ExitCode.NOTHING)


@app.command("add")
def add(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[SERVER]",
            help="ollama, llama_server, lmstudio, vllm, sglang or lemonade, all that run when left"
            " out; or openvino, which runs a model here.",
        ),
    ] = "",
    model: Annotated[str, typer.Option(help="The model to ask for, in the server's words.")] = "",
    base_url: Annotated[str, typer.Option(help="Where it listens, if not as usual.")] = "",
    as_json: Json = False,
) -> None:
    """Find model servers that run on this machine, and write them into your settings.

    They are asked for their models only. Exit code 1 when none was added.
    """
    from nearfield.config import edit
    from nearfield.config.load import load
    from nearfield.config.paths import user_config_file
    from nearfield.providers.detect import KNOWN_SERVERS, running_servers

    if name == "openvino":
        _add_openvino(model, as_json)
        return
    wanted = [one for one in KNOWN_SERVERS if not name or one.name == name]
    if not wanted:
        known = ", ".join([*(one.name for one in KNOWN_SERVERS), "openvino"])
        fail(f"There is no server {name!r}.", f"It may be: {known}.")
    if (model or base_url) and not name:
        fail(
            "--model and --base-url are for one server.", "Name it: nearfield providers add ollama"
        )
    path, own = user_config_file(), load().config.providers
    added: list[dict[str, Any]] = []
    running = asyncio.run(running_servers(wanted, base_url))
    for found in running:
        server = found.server
        there = own.get(server.name)
        if there is not None and not (name and (model or base_url)):
            say(f"{server.name} is in your settings already, with {there.model or 'no model'}.")
            continue
        chosen = model or found.best
        if server.kind != "llama_server" and not chosen:
            lacks = "wants a key" if found.wants_key else "has no model"
            say(f"{server.name} runs, but {lacks}: {_LACKS[found.wants_key].format(server.name)}")
            continue
        edit.put(path, ("providers", server.name), server.table(chosen, base_url))
        others = [one.name for one in found.models if one.name != chosen]
        added.append({"name": server.name, "model": chosen, "others": others, "config": str(path)})
        if not as_json:
            emit(f"{server.name} is in your settings, with {chosen or 'the model that it runs'}.")
            if others:
                say(f"  It also has {', '.join(others)}: --model takes another one.")
    if as_json:
        print_json(added)
    elif added:
        first = added[0]["name"]
        say(_GOES_FIRST.format(first))
    if not running:
        say(f"No server was found at {base_url or 'the usual ports of this machine'}.")
    if not added:
        raise typer.Exit(ExitCode.NOTHING)


def _add_openvino(model: str, as_json: bool) -> None:
    """Write a provider that runs a model by OpenVINO into the settings, once that can be built."""
    from nearfield.catalog.models import Catalog
    from nearfield.catalog.openvino import readable_here
    from nearfield.config import edit
    from nearfield.config.paths import user_config_file
    from nearfield.config.schema import ProviderSettings
    from nearfield.errors import NearfieldError
    from nearfield.providers.registry import build

    chosen = model or readable_here(Catalog.load())
    if not chosen:
        fail(
            "No model on this machine can be read by OpenVINO.",
            "Run `nearfield models pull qwen2.5-coder-1.5b-instruct`, or name one by --model.",
        )
    try:
        build("openvino", ProviderSettings(kind="openvino", model=chosen))
    except NearfieldError as error:
        fail(error.message, error.hint)
    path = user_config_file()
    edit.put(path, ("providers", "openvino"), {"kind": "openvino", "model": chosen})
    if as_json:
        print_json([{"name": "openvino", "model": chosen, "others": [], "config": str(path)}])
    else:
        emit(f"openvino is in your settings, with {chosen}.")
        say(_GOES_FIRST.format("openvino"))


_GOES_FIRST = (
    "They answer where this machine's own engine does not. To let one go first:\n"
    "  nearfield config set routing.roles.code {0},embedded\n"
    "  nearfield config set routing.roles.complete {0},embedded"
)
_LACKS = {
    True: "set it with `nearfield keys set {0}`, and the model with --model.",
    False: "load one there, then run this again.",
}


@app.command("pull")
def pull(
    name: Name,
    model: Model = "",
    as_json: Json = False,
) -> None:
    """Let an Ollama on this machine fetch a model; goes on where it was interrupted."""
    config = _config(Path())
    last = asyncio.run(_pull(config, name, model))
    if as_json:
        print_json({"provider": name, "model": last})
    else:
        emit(f"{name} has {last}. To use it: `nearfield config set providers.{name}.model {last}`.")


async def _pull(config: Config, name: str, model: str) -> str:
    """Return the name of the fetched model."""
    from nearfield.cli.console import spinner

    said = ""
    async with _ollama(config, name, model) as provider:
        with spinner(f"{name} fetches {provider.model}") as show:
            async for step in provider.pull():
                share = (
                    f" {step.completed / step.total:.0%}" if step.total and step.completed else ""
                )
                show(f"{step.status}{share}")
                if step.status != said and not notes_on_terminal():
                    say(step.status)
                said = step.status
    return provider.model


@app.command("load")
def load(
    name: Name,
    model: Model = "",
    as_json: Json = False,
) -> None:
    """Let an Ollama load a model into its memory now, so that the first answer need not wait."""
    asyncio.run(_keep(name, model, as_json, loads=True))


@app.command("unload")
def unload(
    name: Name,
    model: Model = "",
    as_json: Json = False,
) -> None:
    """Let an Ollama give a model's memory back; its next request loads it again."""
    asyncio.run(_keep(name, model, as_json, loads=False))


async def _keep(name: str, model: str, as_json: bool, *, loads: bool) -> None:
    from nearfield.cli.console import spinner

    async with _ollama(_config(Path()), name, model) as provider:
        with spinner(f"{name} {'loads' if loads else 'unloads'} {provider.model}"):
            await (provider.load() if loads else provider.unload())
        held = [one.name for one in await provider.running()]
    if as_json:
        print_json({"provider": name, "model": provider.model, "in_memory": held})
    else:
        emit(f"{name} has {', '.join(held) or 'no model'} in memory.")


@asynccontextmanager
async def _ollama(config: Config, name: str, model: str) -> AsyncGenerator[Ollama]:
    """Open the Ollama of the settings, with `model` or its own one. Ends the command where there is
    none, or no model."""
    import msgspec

    from nearfield.config.keys import nearest
    from nearfield.network.setting import environ_of
    from nearfield.providers.ollama import Ollama
    from nearfield.providers.registry import build
    from nearfield.routing import keys

    settings = config.providers.get(name)
    if settings is None or settings.kind != "ollama":
        known = [one for one, its in config.providers.items() if its.kind == "ollama"]
        hint = f"Did you mean {nearest(name, known) or ' or '.join(known)}?" if known else ""
        fail(f"There is no Ollama {name!r} in your settings.", hint or "`nearfield providers add`")
    wanted = msgspec.structs.replace(settings, model=model or settings.model)
    if not wanted.model:
        fail("No model was named.", f"Put it after {name}: for example qwen2.5-coder.")
    provider = build(name, wanted, environ=environ_of(config), secret=keys.lookup)
    if not isinstance(provider, Ollama):
        fail(f"{name} is no Ollama.")
    try:
        yield provider
    finally:
        await provider.aclose()


def _config(workspace: Path) -> Config:

    loaded = settings_of(resolved(workspace))
    return loaded.config


async def _models(config: Config, name: str) -> list[Any]:
    from nearfield.features.endpoints import named

    async with routed(config) as (_, built):
        return list(await named(built, name).models())
