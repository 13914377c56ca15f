"""`nearfield acp`: an agent of the Agent Client Protocol, for editors that speak it."""

from __future__ import annotations

from nearfield.cli import logs
from nearfield.errors import ExtraMissing


def acp() -> None:
    """Serve one editor with the Agent Client Protocol over standard input and output: chats, and
    next edits where `completion.acp_next_edit` turns them on."""
    from nearfield.config.load import load

    logs.setup(load().config.log.level)
    try:
        from nearfield.acp import server
    except ModuleNotFoundError as error:
        raise ExtraMissing("`nearfield acp`", "acp") from error
    server.run()
