"""`nearfield consent`: what may be sent outside this machine, by workspace and provider."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield.cli.moments import moment
from nearfield.cli.output import ExitCode, emit, fail, print_json, say
from nearfield.files.links import resolved

if TYPE_CHECKING:
    from nearfield.routing.consent import Consent, ConsentRecord
    from nearfield.routing.guard import Remote

app = typer.Typer(no_args_is_help=True, help="Say which providers may be sent what is where.")

Name = Annotated[
    str, typer.Argument(metavar="PROVIDER", help="The name in [providers.NAME], or mcp:NAME.")
]
Workspace = Annotated[Path, typer.Option(help="The workspace folder that it is about.")]


@app.command("allow")
def allow(provider: Name, workspace: Workspace = Path()) -> None:
    """Let a provider be sent code of a workspace: redacted, recorded, and as the strategy says."""
    from nearfield.routing.consent import Consent

    _say(_remote(provider, workspace), workspace, Consent.WORKSPACE)
    say(f"{provider} may be sent code of {resolved(workspace)}. `nearfield audit` shows what was.")


@app.command("deny")
def deny(provider: Name, workspace: Workspace = Path()) -> None:
    """Never let a provider be sent anything of a workspace, nor be offered."""
    from nearfield.routing.consent import Consent

    _say(_remote(provider, workspace), workspace, Consent.NEVER)
    say(f"{provider} is never sent anything of {resolved(workspace)}.")


@app.command("revoke")
def revoke(
    provider: Annotated[str, typer.Argument(metavar="[PROVIDER]", help="All when left out.")] = "",
    workspace: Workspace = Path(),
    everywhere: Annotated[bool, typer.Option("--all", help="In all workspaces.")] = False,
) -> None:
    """Forget what was said. Exit code 1 when nothing had been."""
    from nearfield.routing.store import Store

    folder = None if everywhere else str(resolved(workspace))
    gone = Store().revoke(folder, provider or None)
    say(f"{gone} decision{'' if gone == 1 else 's'} forgotten.")
    if not gone:
        raise typer.Exit(ExitCode.NOTHING)


@app.command("list")
def list_consent(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print every decision. Exit code 1 when there is none."""
    from nearfield.routing.store import Store

    found = Store().said()
    if as_json:
        print_json([said.row() for said in found])
    else:
        for said in found:
            emit(line(said))
    if not found:
        raise typer.Exit(ExitCode.NOTHING)


def line(said: ConsentRecord) -> str:
    """A decision as people read it."""
    verb = "may be sent" if said.consent.allows else "is never sent"
    return f"{moment(said.at)}  {said.provider} ({said.destination}) {verb}: {said.workspace}"


def _remote(provider: str, workspace: Path) -> Remote:
    """Return the provider, or the server of [chat.mcp.NAME], that a decision is about."""
    from nearfield.config.load import load
    from nearfield.features.chat.tool_servers import remote_of
    from nearfield.routing.guard import remote
    from nearfield.routing.router import variants

    config = load(resolved(workspace)).config
    wanted = {
        name: remote(name, settings.model, config.providers)
        for name, settings in variants(config).items()
    }
    for name, settings in config.chat.mcp.items():
        if (to := remote_of(name, settings)) is not None:
            wanted[to.name] = to
    if provider in wanted:
        return wanted[provider]
    name, _, model = provider.partition("/")
    if model and name in config.providers:
        return remote(provider, model, config.providers)
    known = ", ".join(sorted(wanted)) or "none"
    fail(f"There is no provider {provider!r} in your settings.", f"There are: {known}.")


def _say(to: Remote, workspace: Path, consent: Consent) -> None:
    from nearfield.routing.store import Store

    Store().say(str(resolved(workspace)), to.name, to.destination, consent)
