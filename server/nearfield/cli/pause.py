"""`nearfield pause` and `nearfield resume`: every Nearfield of the user's at once."""

from __future__ import annotations

from nearfield.cli.output import emit
from nearfield.routing.pause import UserPause


def pause() -> None:
    """Ask no model until `nearfield resume`: editors, agents, HTTP servers and commands."""
    UserPause().pause_all()
    emit("Paused: no model is asked, by editors, agents, HTTP servers or commands.")


def resume() -> None:
    """End the pause of `nearfield pause`."""
    UserPause().resume_all()
    emit("Models are asked again.")
