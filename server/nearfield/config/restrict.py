"""Rules for a workspace's `.nearfield.toml`: it may restrict, never permit.

A repository is a third party's text. Each setting of the schema names its rule for changes by a
workspace, and most name none: only the user may change them. (Turning the local engine *off* is
among them: under the strategy `local_first` that would push code towards a cloud.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A workspace's wish that is not granted; `why` ends a sentence about the key. `instead` is
    the part of it that is granted, None for nothing."""

    why: str
    instead: Any = None


Rule = Callable[[Any, Any], Any]
"""(the value in force, the workspace's wish) -> the value from now on, or `Refusal`."""


def user_only(_now: Any, _wish: Any) -> Any:
    """Never from a workspace."""
    return Refusal("only the user may set this, not a workspace")


def only_off(now: Any, wish: Any) -> Any:
    """Allow turning it off, not on."""
    return Refusal("a workspace may only turn this off") if wish and not now else wish


def only_add(now: Any, wish: Any) -> Any:
    """Entries may be added to the list; none is removed."""
    return [*now, *(entry for entry in wish if entry not in now)]


def only_add_patterns(now: Any, wish: Any) -> Any:
    """Apply `only_add` to patterns as in `.gitignore`, where a later "!name" takes one back."""
    added = only_add(now, [entry for entry in wish if not entry.lstrip().startswith("!")])
    if any(entry.lstrip().startswith("!") for entry in wish):
        return Refusal('a workspace may not take files back with "!"', added)
    return added


def only_remove(now: Any, wish: Any) -> Any:
    """Entries may be taken from the list; none is added."""
    kept = [entry for entry in now if entry in wish]
    if any(entry not in now for entry in wish):
        return Refusal("a workspace may only take entries away", kept)
    return kept


def only_lower(now: Any, wish: Any) -> Any:
    """Allow making it smaller."""
    return wish if wish <= now else Refusal("a workspace may only lower this")


def only_raise(now: Any, wish: Any) -> Any:
    """Allow making it larger, where larger means less."""
    return wish if wish >= now else Refusal("a workspace may only raise this")


def only_towards(*choices: str) -> Rule:
    """Allow moving it to a later one of `choices`, from the most to the least permissive."""

    def rule(now: Any, wish: Any) -> Any:
        if choices.index(wish) >= choices.index(now):
            return wish
        return Refusal(f'a workspace may only move this towards "{choices[-1]}"')

    return rule


def only_local(now: Any, wish: Any) -> Any:
    """Allow `local_only`: none of the other strategies is a restriction of another."""
    if wish in ("local_only", now):
        return wish
    return Refusal('a workspace may only set this to "local_only"')
