"""From a task to a role, and whether it is a hard one.

Rules come first, on what is known (size, number of files, diagnostics, tools); where they are
silent, the calibrated score of `complexity` decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfield.config.schema import Config
from nearfield.routing import complexity
from nearfield.routing.request_context import RequestContext, Task
from nearfield.types import ChatRequest, Role

ROLES: dict[Task, str] = {
    Task.COMPLETE: "complete",
    Task.EXPLAIN: "fast",
    Task.DOCUMENT: "fast",
    Task.SNIPPET: "fast",
    Task.CODE: "code",
    Task.FIX: "code",
    Task.REFACTOR: "code",
    Task.TEST: "code",
    Task.CHAT: "code",
    Task.REVIEW: "review",
    Task.EMBED: "embed",
}
"""Which role does what, unless `[routing.tasks]` says otherwise."""

LARGE = "large"
"""The role that takes complex tasks over, where the user has named providers for it."""

# Nobody tuned these: they are where a reader would say "that is not a small thing any more".
MANY_FILES = 4
MANY_DIAGNOSTICS = 6
MANY_CHARACTERS = 24_000
MANY_TURNS = 8

# Telling what a piece of code does or how to name it is what small models do well, and the outcomes
# that the score was fitted on are of writing code: it says nothing about these.
NOT_SCORED = (Task.EXPLAIN, Task.DOCUMENT, Task.COMPLETE, Task.EMBED)


@dataclass(frozen=True, slots=True)
class Choice:
    """Who should do it. `why` is the reason for `complex`, as `nearfield ask --why` prints it;
    `score` is the calibrated estimate where one was made."""

    role: str
    complex: bool
    why: str
    score: float | None = None


def choose(config: Config, request: ChatRequest, context: RequestContext) -> Choice:
    """The role and the complexity of a chat-like request."""
    named = config.routing.tasks.get(context.task)
    role = named or ROLES[context.task]
    is_complex, why, score = _complex(config, request, context)
    if (
        is_complex
        and not named
        and context.task is not Task.REVIEW
        and LARGE in config.routing.roles
    ):
        role = LARGE
    return Choice(role, is_complex, why, score)


def _complex(
    config: Config, request: ChatRequest, context: RequestContext
) -> tuple[bool, str, float | None]:
    if config.routing.strategy != "hybrid" and LARGE not in config.routing.roles:
        return False, "nothing depends on it", None
    if context.complex is not None:
        return context.complex, "as the request says", None
    if rule := _rule(request, context):
        return True, rule, None
    if context.task in NOT_SCORED:
        return False, f"{context.task} is a task for a small model", None
    threshold = config.routing.complex_from or complexity.default_threshold()
    score = complexity.score(last_question(request)).fails
    return score >= threshold, f"score {score:.2f}, complex from {threshold:.2f}", score


def _rule(request: ChatRequest, context: RequestContext) -> str:
    files = len({source.path for source in context.sources})
    size = sum(len(message.content) for message in request.messages)
    turns = sum(message.role is not Role.SYSTEM for message in request.messages)
    if files >= MANY_FILES:
        return f"it is about {files} files"
    if context.diagnostics >= MANY_DIAGNOSTICS:
        return f"it is about {context.diagnostics} problems"
    if size >= MANY_CHARACTERS:
        return f"it is {size} characters long"
    if request.tools and turns >= MANY_TURNS:
        return f"tools have been used over {turns} turns"
    return ""


def last_question(request: ChatRequest) -> str:
    """The last thing that the user said in it, "" for nothing."""
    said = (m.content for m in reversed(request.messages) if m.role is Role.USER)
    return next(said, "")
