"""The table of actions that a model does, with their titles and goals."""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.features.code_actions.fit import Addition
from nearfield.routing.request_context import Task

__all__ = ["ACTIONS", "MENU", "REWRITES", "Action"]

FIX = "fix"
FIX_ALL = "fix_all"
REWRITE = "rewrite"
DOCUMENT = "document"
TEST = "test"
TYPES = "types"


@dataclass(frozen=True, slots=True)
class Action:
    """An action. `title` is for the user, with `{what}` for the unit or the problem; `goal` tells
    a model what to do with the code above it. A `free` action may change the signature. One that
    `adds` something leaves the rest as it is.
    """

    id: str
    title: str
    kind: str
    task: Task
    goal: str = ""
    free: bool = False
    adds: Addition = ""


_REWRITE = ("refactor.rewrite", Task.REFACTOR)
_ROWS = (
    Action(FIX, "Fix: {what}", "quickfix", Task.FIX),
    Action(FIX_ALL, "Fix all problems in {what}", "quickfix", Task.FIX),
    Action(REWRITE, "Rewrite {what} …", *_REWRITE, free=True),
    Action(
        "simplify",
        "Simplify {what}",
        *_REWRITE,
        "Make it simpler and easier to read. It must do exactly the same as before.",
    ),
    Action(
        "faster",
        "Make {what} faster",
        *_REWRITE,
        "It is too slow. Rewrite it with a faster algorithm, for example with a set, a dictionary"
        " or fewer loops. It must return exactly the same as before.",
    ),
    Action(
        "errors",
        "Add error handling to {what}",
        *_REWRITE,
        "Add error handling: wrong input and failing calls must give a clear error. Leave the code"
        " that is there as it is.",
        adds="code",
    ),
    Action(
        TYPES,
        "Add types to {what}",
        *_REWRITE,
        "Add type annotations to the parameters and the return value. Change nothing else.",
        free=True,
        adds="types",
    ),
    Action(DOCUMENT, "Document {what}", "source", Task.DOCUMENT),
    Action(TEST, "Write tests for {what}", "source", Task.TEST),
)
ACTIONS = {row.id: row for row in _ROWS}
REWRITES = frozenset(row.id for row in _ROWS if row.id not in (DOCUMENT, TEST))
"""Actions that change the unit itself."""
MENU = tuple(row.id for row in _ROWS if row.id not in (FIX, FIX_ALL, REWRITE))
"""Actions that need nothing but a place."""
TYPED = frozenset({"python", "php"})
"""Languages in which types are optional."""
