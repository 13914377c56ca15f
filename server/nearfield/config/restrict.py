"""What a workspace's `.nearfield.toml` may change: it may restrict, never permit.

A repository is somebody else's text. So every key of the schema has a rule here that says in which
direction a workspace may move it; most may not be moved at all. (Turning the local engine *off* is
among them: under the strategy `local_first` that would push code towards a cloud.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nearfield.config.keys import Key


@dataclass(frozen=True, slots=True)
class Refused:
    """A workspace's wish that is not granted; `why` ends a sentence about the key. `instead` is
    what of it is granted, None for nothing."""

    why: str
    instead: Any = None


Rule = Callable[[Any, Any], Any]
"""(the value in force, the workspace's wish) -> the value from now on, or `Refused`."""


def user_only(_now: Any, _wish: Any) -> Any:
    """Never from a workspace."""
    return Refused("only the user may set this, not a workspace")


def only_off(now: Any, wish: Any) -> Any:
    """May be turned off, not on."""
    if wish and not now:
        return Refused("a workspace may only turn this off")
    return wish


def only_add(now: Any, wish: Any) -> Any:
    """Entries may be added to the list; none goes."""
    return [*now, *(entry for entry in wish if entry not in now)]


def only_add_patterns(now: Any, wish: Any) -> Any:
    """As `only_add`, for patterns as in `.gitignore`, where a later "!name" takes one back."""
    added = only_add(now, [entry for entry in wish if not entry.lstrip().startswith("!")])
    if any(entry.lstrip().startswith("!") for entry in wish):
        return Refused('a workspace may not take files back with "!"', added)
    return added


def only_remove(now: Any, wish: Any) -> Any:
    """Entries may be taken from the list; none is added."""
    kept = [entry for entry in now if entry in wish]
    if any(entry not in now for entry in wish):
        return Refused("a workspace may only take entries away", kept)
    return kept


def only_lower(now: Any, wish: Any) -> Any:
    """May be made smaller."""
    return wish if wish <= now else Refused("a workspace may only lower this")


def only_raise(now: Any, wish: Any) -> Any:
    """May be made larger, where larger means less."""
    return wish if wish >= now else Refused("a workspace may only raise this")


def only_towards(*choices: str) -> Rule:
    """May be moved to a later one of `choices`, which go from the most to the least permissive."""

    def rule(now: Any, wish: Any) -> Any:
        if choices.index(wish) >= choices.index(now):
            return wish
        return Refused(f'a workspace may only move this towards "{choices[-1]}"')

    return rule


def only_local(now: Any, wish: Any) -> Any:
    """`local_only` or nothing: between the others none is a restriction of another."""
    if wish in ("local_only", now):
        return wish
    return Refused('a workspace may only set this to "local_only"')


RULES: dict[Key, Rule] = {
    ("completion", "enabled"): only_off,
    ("completion", "disabled_languages"): only_add,
    ("completion", "debounce_ms"): only_raise,
    ("completion", "deadline_ms"): only_lower,
    ("completion", "invoked_deadline_ms"): only_lower,
    ("completion", "multiline"): only_towards("always", "auto", "never"),
    ("completion", "max_lines"): only_lower,
    ("completion", "max_tokens"): only_lower,
    ("completion", "min_confidence"): only_raise,
    ("completion", "min_token_confidence"): only_raise,
    ("completion", "prefix_lines"): only_lower,
    ("completion", "suffix_lines"): only_lower,
    ("completion", "next_edit"): only_off,
    ("completion", "record"): only_off,
    ("completion", "popup"): only_towards("always", "auto", "never"),
    ("hover", "enabled"): only_off,
    ("hover", "facts"): only_off,
    ("hover", "explain"): only_off,
    ("hover", "wait_ms"): only_lower,
    ("hover", "prepare"): only_off,
    ("engine", "enabled"): user_only,
    ("engine", "threads"): user_only,
    ("engine", "gpu_layers"): user_only,
    ("engine", "context_size"): user_only,
    ("engine", "chat_context_size"): user_only,
    ("engine", "memory_limit_mb"): user_only,
    ("engine", "temperature"): user_only,
    ("engine", "idle_unload_minutes"): user_only,
    ("engine", "keep_prompts_mb"): only_lower,
    ("engine", "on_battery"): only_towards("ignore", "save"),
    ("models", "complete"): user_only,
    ("models", "edit"): user_only,
    ("models", "chat"): user_only,
    ("routing", "strategy"): only_local,
    ("routing", "roles", "NAME"): user_only,
    ("routing", "tasks", "NAME"): user_only,
    ("routing", "escalate"): only_towards("auto", "ask", "suggest"),
    ("routing", "ask_timeout_s"): user_only,
    ("routing", "complex_from"): user_only,
    ("routing", "min_logprob"): user_only,
    ("routing", "breaker_failures"): user_only,
    ("routing", "breaker_seconds"): user_only,
    ("providers", "NAME", "kind"): user_only,
    ("providers", "NAME", "model"): user_only,
    ("providers", "NAME", "base_url"): user_only,
    ("providers", "NAME", "options", "NAME"): user_only,
    ("privacy", "withhold"): only_add_patterns,
    ("privacy", "redact"): user_only,
    ("privacy", "keep_sent"): user_only,
    ("budget", "daily_soft"): user_only,
    ("budget", "daily_hard"): user_only,
    ("budget", "monthly_soft"): user_only,
    ("budget", "monthly_hard"): user_only,
    ("budget", "prices", "NAME"): user_only,
    ("budget", "compare_with"): user_only,
    ("cache", "enabled"): user_only,
    ("cache", "max_mb"): user_only,
    ("cache", "max_age_hours"): user_only,
    ("files", "exclude"): only_add_patterns,
    ("files", "max_bytes"): only_lower,
    ("index", "enabled"): only_off,
    ("index", "exclude"): only_add_patterns,
    ("index", "max_file_bytes"): only_lower,
    ("index", "vectors"): only_off,
    ("index", "on_battery"): user_only,
    ("index", "store"): user_only,
    ("index", "role"): user_only,
    ("index", "name"): user_only,
    ("chat", "functions"): only_remove,
    ("chat", "shell_commands"): user_only,
    ("chat", "shell_timeout_s"): only_lower,
    ("chat", "max_rounds"): only_lower,
    ("chat", "timeout_s"): only_lower,
    ("chat", "max_files"): only_lower,
    ("chat", "max_bytes"): only_lower,
    ("network", "ca_file"): user_only,
    ("log", "level"): user_only,
}
"""The rule of every key's pattern. A key that is missing here is `user_only`; a test sees to it
that none is."""


def rule_for(pattern: Key) -> Rule:
    """The rule of a key's pattern."""
    return RULES.get(pattern, user_only)
