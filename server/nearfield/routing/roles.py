"""Choice of the role for a task, and of whether the task is complex.

Rules decide first, on what is known (files, diagnostics, size, tools). Otherwise the user's
question does: whether it asks for a whole system, and its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nearfield.config.keys import nearest
from nearfield.config.schema import ROLES, Config
from nearfield.errors import ConfigError
from nearfield.routing.request_context import RequestContext, Task
from nearfield.types import ChatRequest, Role

TASK_ROLES: dict[Task, str] = {
    Task.COMPLETE: "complete",
    Task.EDIT: "edit",
    Task.EXPLAIN: "fast",
    Task.DOCUMENT: "fast",
    Task.SNIPPET: "fast",
    Task.CODE: "code",
    Task.FIX: "code",
    Task.REFACTOR: "code",
    Task.TEST: "code",
    Task.CHAT: "code",
    Task.REVIEW: "review",
}
"""The role of each task, unless `[routing.tasks]` says otherwise."""

LARGE = "large"
"""The role that takes complex tasks over, where the user has named providers for it."""

# Untuned: where a reader would no longer call it a small task.
MANY_FILES = 4
MANY_DIAGNOSTICS = 6
MANY_CHARACTERS = 24_000
MANY_TURNS = 8

# A request for a whole system is short and needs much code. None of 1,409 tasks for one function
# is taken for such a request (RESULTS.md).
# What is written may also be a test of a server, so nothing else may stand between.
_SYSTEM = re.compile(
    r"\b(?:(?P<builds>build|create|implement|design|develop|set up|refactor|migrate|rewrite)"
    r"\b[^.?!\n]{0,80}?|(?P<writes>write|make|code|program)(?: me| us)? an? "
    r"(?:(?!(?:function|method|class|script|program|test|query|of|for|in|on|to|that|which)\b)"
    r"[\w+#./-]+ ){0,3}?)"
    r"\b(?P<system>servers?|(?:micro-?)?services?|apis?|systems?|app(?:lication)?s?|stores?|databases?|"
    r"caches?|queues?|brokers?|engines?|compilers?|interpreters?|frameworks?|pipelines?|clients?|"
    r"backends?|frontends?|architectures?|librar(?:y|ies)|projects?|code ?bases?|protocols?|"
    r"oauth2?|authenti\w+|authori[sz]\w+|schedulers?|crawlers?|websites?|dashboards?|plugins?)\b",
    re.IGNORECASE,
)

# Small models explain and name code well, and the threshold was measured on writing code.
ALWAYS_SIMPLE = (Task.EXPLAIN, Task.DOCUMENT, Task.COMPLETE, Task.EDIT)


@dataclass(frozen=True, slots=True)
class RoleChoice:
    """The role for a request. `why` is the reason for `complex`."""

    role: str
    complex: bool
    why: str


def check_role(role: str) -> None:
    """Raise `ConfigError`, which lists the roles, where there is none of that name."""
    if role and role not in ROLES:
        close = nearest(role, ROLES)
        meant = f' Did you mean "{close}"?' if close else ""
        raise ConfigError(f"There is no role {role!r}.{meant}", f"It may be: {', '.join(ROLES)}.")


def usual_role(config: Config, task: Task) -> str:
    """Return the role of `task` where nothing else is known of the request."""
    return config.routing.tasks.get(task) or TASK_ROLES[task]


def choose(config: Config, request: ChatRequest, context: RequestContext) -> RoleChoice:
    """Return the role and the complexity of a chat-like request."""
    task = context.task
    role = usual_role(config, task)
    is_complex, why = _complexity(config, request, context)
    moves_up = is_complex and task is not Task.REVIEW and task not in config.routing.tasks
    if moves_up and LARGE in config.routing.roles:
        role = LARGE
    return RoleChoice(role, is_complex, why)


def _complexity(config: Config, request: ChatRequest, context: RequestContext) -> tuple[bool, str]:
    """Return whether the request is complex, and the reason."""
    asks = any(rule.complex is not None for rule in config.routing.rules)
    if config.routing.strategy != "hybrid" and LARGE not in config.routing.roles and not asks:
        return False, "nothing depends on it"
    if context.complex is not None:
        return context.complex, "as the request says"
    files = len({source.path for source in context.sources})
    size = sum(len(message.content) for message in request.messages)
    turns = sum(message.role is not Role.SYSTEM for message in request.messages)
    if files >= MANY_FILES:
        return True, f"it is about {files} files"
    if context.diagnostics >= MANY_DIAGNOSTICS:
        return True, f"it is about {context.diagnostics} problems"
    if size >= MANY_CHARACTERS:
        return True, f"it is {size} characters long"
    if request.tools and config.routing.strategy == "hybrid":
        return True, "functions may be called, which small models do badly"
    if request.tools and turns >= MANY_TURNS:
        return True, f"tools have been used over {turns} turns"
    if context.task in ALWAYS_SIMPLE:
        return False, f"{context.task} is a task for a small model"
    asked = (m.content for m in reversed(request.messages) if m.role is Role.USER)
    question, threshold = next(asked, ""), config.routing.complex_chars
    length = len(question)
    if length < threshold and (system := _SYSTEM.search(question)):
        verb = system["builds"] or system["writes"]
        return True, f"it asks for a system ({verb.lower()} … {system['system'].lower()})"
    return length >= threshold, f"the question has {length} characters, complex from {threshold}"
