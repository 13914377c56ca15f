"""Callers: the user of this machine, or a person of a team with what their role allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from nearfield.features.team.settings import Use
from nearfield.http.wire import BadRequest

MAX_REQUESTS = 8
"""Requests to models; more would only wait in the engine and hold their prompts in memory."""


@dataclass(frozen=True, slots=True)
class Member:
    """Someone who may ask. `name` and `owner` are "" for the user of this machine; `owner` is the
    key that keeps what belongs to a person of a team apart. `uses`, `models` and `functions` are
    what they may use, None for all. `at_once` requests to models are answered at once."""

    name: str = ""
    owner: str = field(default="", repr=False)
    uses: tuple[Use, ...] | None = None
    models: tuple[str, ...] | None = None
    functions: tuple[str, ...] | None = None
    at_once: int = MAX_REQUESTS

    def check_use(self, use: Use) -> None:
        """Raise `BadRequest` where their role does not have this use."""
        if self.uses is not None and use not in self.uses:
            raise BadRequest(f"Your role may not use {use!r} here.", code="forbidden", status=403)

    def may_ask(self, role: str) -> bool:
        """Return whether they may ask the models of a role."""
        return self.models is None or role in self.models

    def check_functions(self, names: list[str]) -> None:
        """Raise `BadRequest` for a function that a model may not be offered for them."""
        for name in names:
            patterns = self.functions
            if patterns is not None and not any(fnmatchcase(name, one) for one in patterns):
                raise BadRequest(
                    f"Your role may not offer a model the function {name[:64]!r}.",
                    "tools", "forbidden", 403,
                )  # fmt: skip


THE_USER = Member()
