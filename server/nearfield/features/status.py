"""The status for the user: reported once when it changes, never per keystroke."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from nearfield.errors import NotReady
from nearfield.features.reasons import words
from nearfield.listeners import Listeners, until
from nearfield.types import Trace

if TYPE_CHECKING:
    from nearfield.providers.memory import ModelState
    from nearfield.routing.router import RoleStatus

log = logging.getLogger(__name__)

LOAD_SECONDS = 600.0
"""The longest wait for a model that is being loaded: 30 GB from a hard disk."""


class ServiceState(StrEnum):
    """`STARTING` before anything is known, `LOADING` while a model comes into memory."""

    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    UNAVAILABLE = "unavailable"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """State of completions and roles. `detail` is one or two sentences for the user; `progress` is
    0..1 while loading. `provider` and `model` name what answers completions now, "" for none.
    `roles` has the provider of each role in the workspace, and why others do not serve it; it is
    empty until known.
    """

    state: ServiceState = ServiceState.STARTING
    detail: str = ""
    progress: float | None = None
    provider: str = ""
    model: str = ""
    roles: tuple[RoleStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexState:
    """State of all folders' indexes as one. `state` is "off", "starting", "reading", "building",
    "embedding", "ready", "paused" or "failed"; `done` of `total` are files while building and
    vectors while embedding.
    """

    state: str = "off"
    detail: str = ""
    done: int = 0
    total: int = 0
    files: int = 0
    chunks: int = 0
    vectors: int = 0

    @property
    def is_coming(self) -> bool:
        """Return whether names and text are awaited from this process: not where another one builds
        the index, and not of a folder that is left out."""
        return self.state in ("off", "starting", "building") and not self.detail


class StatusBoard:
    """Holds the status and tells the subscribers when it changes."""

    def __init__(self) -> None:
        self.status = ServiceStatus()
        """The status now."""
        self._listeners = Listeners[ServiceStatus]()

    def set(self, status: ServiceStatus) -> None:
        """Say `status`; nothing happens when it is what was said last."""
        if status == self.status:
            return
        if (status.state, status.detail) != (self.status.state, self.status.detail):
            log.info("status: %s %s", status.state, status.detail)
        self.status = status
        self._listeners.tell(status)

    def subscribe(self, callback: Callable[[ServiceStatus], None]) -> Callable[[], None]:
        """Call `callback` at every change from now on; returns the function that ends it."""
        return self._listeners.add(callback)


class HasStatus(Protocol):
    """A source of statuses: the service."""

    @property
    def status(self) -> ServiceStatus:
        """The status now."""
        ...

    def subscribe(self, callback: Callable[[ServiceStatus], None]) -> Callable[[], None]:
        """Call `callback` at every change; returns the function that ends it."""
        ...


async def until_loaded(
    source: HasStatus,
    seconds: float = LOAD_SECONDS,
    show: Callable[[ServiceStatus], None] = lambda status: None,
) -> None:
    """Wait while the completing model is being loaded, at most `seconds`; each change goes to
    `show`. Raises `NotReady`."""

    def is_over() -> bool:
        show(source.status)
        return source.status.state not in (ServiceState.STARTING, ServiceState.LOADING)

    try:
        await until(source.subscribe, is_over, seconds)
    except TimeoutError:
        raise still_loading(source.status.detail, seconds) from None


def still_loading(detail: str, seconds: float) -> NotReady:
    """Return the error of a wait for a model that took `seconds` in vain."""
    return NotReady(
        f"The model is still being loaded after {seconds:.0f} s. {detail}".strip(),
        "Run `nearfield doctor`, or choose a smaller model: `nearfield models recommend`.",
    )


def as_dict(
    status: ServiceStatus,
    index: IndexState,
    last: Trace | None = None,
    models: Sequence[ModelState] = (),
) -> dict[str, Any]:
    """Return the status as a message.

    It has the state, detail, progress (0..1 or null), provider and model. A row for each role has
    its provider ("" for none), and why each other candidate does not serve it. The state of the
    index and the outcome of the `last` completion follow, null if there was none, and the models
    that this process holds in memory or could load.
    """
    return {
        "state": status.state.value,
        "detail": status.detail,
        "progress": status.progress,
        "provider": status.provider,
        "model": status.model,
        "roles": [
            {
                "role": role.role,
                "provider": role.provider,
                "model": role.model,
                "local": role.local,
                "others": [{"provider": name, "why": why} for name, why in role.others],
            }
            for role in status.roles
        ],
        "last": _last(last),
        "models": [asdict(one) for one in models],
        "index": {
            "state": index.state,
            "detail": index.detail,
            "done": index.done,
            "total": index.total,
            "files": index.files,
            "chunks": index.chunks,
            "vectors": index.vectors,
        },
    }


def _last(trace: Trace | None) -> dict[str, str] | None:
    if trace is None:
        return None
    told = words(trace)
    return {"reason": trace.reason, "sentence": told.sentence, "advice": told.advice}
