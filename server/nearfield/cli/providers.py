"""`nearfield providers`: available providers, the provider of each role, and why others do not
serve it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.opening import settings_of
from nearfield.cli.output import ExitCode, emit, fail, print_json, say

if TYPE_CHECKING:
    from nearfield.config.schema import Config
    from nearfield.providers.base import Provider
    from nearfield.routing.router import RoleStatus

app = typer.Typer(no_args_is_help=True, help="Show and try the providers of models.")

# A server that has not said how it is by then is not well.
PROBE_SECONDS = 15.0

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Workspace = Annotated[Path, typer.Option(help="The workspace folder that it is asked for.")]


@app.command("list")
def list_providers(workspace: Workspace = Path(), as_json: Json = False) -> None:
    """Print every provider, and for each role its provider and why others do not serve it.

    No provider is asked: the settings, your consent and the ledger decide.
    """
    config = _config(workspace)
    rows, roles = asyncio.run(_standing(config, str(workspace.resolve())))
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
    from nearfield.types import WOULD_ANSWER

    found = asyncio.run(_probe(_config(workspace), tuple(names or ())))
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
    name: Annotated[str, typer.Argument(metavar="PROVIDER", help="The name in [providers.NAME].")],
    workspace: Workspace = Path(),
    as_json: Json = False,
) -> None:
    """Print the models that a provider's server has, by asking it."""
    found = asyncio.run(_models(_config(workspace), name))
    if as_json:
        print_json(found)
        return
    for model in found:
        context = f"  {model.context_tokens} tokens" if model.context_tokens else ""
        emit(f"{model.name}{context}")
    if not found:
        raise typer.Exit(ExitCode.NOTHING)


def _config(workspace: Path) -> Config:

    loaded = settings_of(workspace.resolve())
    return loaded.config


async def _standing(
    config: Config, workspace: str
) -> tuple[list[dict[str, Any]], tuple[RoleStatus, ...]]:
    from nearfield.routing.egress import Egress
    from nearfield.routing.router import Router, variants

    built = await _built(config)
    router = Router(config, built)
    wanted = variants(config)
    try:
        roles = await router.status(workspace)
        rows = [
            {
                "name": name,
                "kind": wanted[name].kind if name in wanted else name,
                "model": provider.model,
                "local": not isinstance(router.provider(name), Egress),
            }
            for name, provider in built.items()
        ]
    finally:
        await router.aclose()
        await _close(built)
    return rows, roles


async def _probe(config: Config, names: tuple[str, ...]) -> list[dict[str, Any]]:
    from nearfield.errors import NearfieldError
    from nearfield.routing.egress import Egress
    from nearfield.routing.router import Router

    built = await _built(config)
    router = Router(config, built)
    rows: list[dict[str, Any]] = []
    try:
        for name in names or tuple(built):
            provider = _named(built, name)
            if not names and isinstance(router.provider(name), Egress):
                say(f"{name} is outside this machine; `nearfield providers probe {name}` asks it.")
                continue
            state, detail = "unavailable", ""
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    health = await provider.health()
                state, detail = health.state.value, health.detail
            except NearfieldError as error:
                detail = str(error)
            except TimeoutError:
                detail = f"no answer within {PROBE_SECONDS:g} s"
            rows.append({"name": name, "model": provider.model, "state": state, "detail": detail})
    finally:
        await router.aclose()
        await _close(built)
    return rows


async def _models(config: Config, name: str) -> list[Any]:
    built = await _built(config)
    try:
        return list(await _named(built, name).models())
    finally:
        await _close(built)


async def _built(config: Config) -> dict[str, Provider]:
    from nearfield.features import assemble

    return await asyncio.to_thread(assemble.providers, config)


def _named(built: dict[str, Provider], name: str) -> Provider:
    if name not in built:
        fail(f"There is no provider {name!r}.", f"There are: {', '.join(sorted(built))}.")
    return built[name]


async def _close(built: dict[str, Provider]) -> None:
    for provider in built.values():
        await provider.aclose()
