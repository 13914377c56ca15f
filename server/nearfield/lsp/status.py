"""State for the editor: `nearfield/status` (request and notification) and `didChangeStatus`, as
clients of Copilot's server know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pygls.lsp.server import LanguageServer

from nearfield.features.reasons import last_completion
from nearfield.features.status import IndexState, ServiceState, ServiceStatus, as_dict
from nearfield.lsp.session import Session
from nearfield.types import Reason

if TYPE_CHECKING:
    from nearfield.features.service import Service
    from nearfield.routing.router import RoleStatus

STATUS = "nearfield/status"
DID_CHANGE_STATUS = "didChangeStatus"

_KINDS = {
    ServiceState.STARTING: "Normal",
    ServiceState.LOADING: "Normal",
    ServiceState.READY: "Normal",
    ServiceState.UNAVAILABLE: "Error",
    ServiceState.PAUSED: "Inactive",
}


def register(server: LanguageServer, session: Session) -> None:
    """Send every change of the status, and answer requests for it."""

    def say(status: ServiceStatus, service: Service) -> None:
        index = service.knowledge.state
        session.protocol.notify(STATUS, as_dict(status, index, service.last, service.models))
        session.protocol.notify(DID_CHANGE_STATUS, as_copilot(status))
        # While it is ready a detail is about settings that could not be followed.
        if status.state in (ServiceState.UNAVAILABLE, ServiceState.READY) and status.detail:
            session.notice(f"Nearfield: {status.detail}")

    def started(service: Service) -> None:
        said = service.knowledge.state.state

        def say_index(index: IndexState) -> None:
            """Send each state once; its progress is in the progress bar and in answers
            to requests.
            """
            nonlocal said
            if index.state != said:
                said = index.state
                told = as_dict(service.status, index, service.last, service.models)
                session.protocol.notify(STATUS, told)
                nothing = index.state == "ready" and not index.files
                if index.detail and (nothing or index.state in ("failed", "off")):
                    session.notice(f"Nearfield: {index.detail}")

        why = Reason.SHOWN

        def say_last(_rest: None) -> None:
            """Once when the reason becomes another, not at every keystroke."""
            nonlocal why
            last = last_completion(service.traces)
            if last is not None and last.reason is not why:
                why = last.reason
                index = service.knowledge.state
                told = as_dict(service.status, index, last, service.models)
                session.protocol.notify(STATUS, told)

        service.subscribe(lambda status: say(status, service))
        service.rests.add(say_last)
        service.knowledge.subscribe(say_index)

    async def answer(params: Any = None) -> dict[str, Any]:
        service = await session.service()
        workspace = params.get("workspace") if isinstance(params, Mapping) else None
        roles = await service.roles(workspace if isinstance(workspace, str) else "")
        status = replace(service.status, roles=roles)
        return as_dict(status, service.knowledge.state, service.last, service.models)

    session.when_started.add(started)
    server.feature(STATUS)(answer)


def as_copilot(status: ServiceStatus) -> dict[str, Any]:
    """The params of `didChangeStatus`; its message is the detail and a line for each role."""
    return {
        "busy": status.state in (ServiceState.STARTING, ServiceState.LOADING),
        "kind": _KINDS[status.state],
        "message": "\n".join([status.detail, *map(_line, status.roles)]).strip(),
    }


def _line(role: RoleStatus) -> str:
    """A role in one line for a person."""
    others = "; ".join(f"not {name}: {why}" for name, why in role.others)
    return f"{role.role}: {role.provider or 'nobody'}" + (f" ({others})" if others else "")
