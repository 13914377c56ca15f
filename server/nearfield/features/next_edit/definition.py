"""The definition of a function whose call was given an argument that it does not take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tree_sitter

from nearfield.features.next_edit.calls import CALLS, is_known
from nearfield.features.next_edit.parameters import (
    Call,
    Parameter,
    arguments,
    fits,
    held,
    parameters,
)
from nearfield.features.next_edit.uses import named, uses_of
from nearfield.syntax.definitions import name_node
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import function_at, text_of
from nearfield.types import Edit, Span

__all__ = ["definition_of", "extended"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A function in a document: where its list of parameters is, and what it takes."""

    span: Span
    takes: tuple[Parameter, ...]


def definition_of(before: Parsed, was: Span) -> Definition | None:
    """The function of the document that is called around `was`, by a call that fits it."""
    holder = _call_around(before, was)
    call = arguments(holder) if holder is not None else None
    callee = _callee(holder) if holder is not None else None
    uses = uses_of(before, before.span(callee)) if callee is not None else None
    if call is None or uses is None:
        return None
    for place in uses.others:
        for node in reversed(before.path_to(place.start)):
            own, takes = name_node(node), held(node)
            if own is not None and takes is not None and before.span(own) == place:
                known = parameters(before, takes)
                if known is None or not fits(call, known):
                    return None
                return Definition(before.span(takes), known)
    return None


def extended(now: Parsed, place: Span, at: Span, takes: Sequence[Parameter]) -> Edit | None:
    """What is to be put into the list of parameters at `at`, so that the call around `place` fits;
    None where it does, or it is not certain what the parameter is."""
    holder = _call_around(now, place)
    call = arguments(holder) if holder is not None else None
    listed = next((node for node in reversed(now.path_to(at.start)) if now.span(node) == at), None)
    function = listed.parent if listed is not None else None
    if holder is None or call is None or listed is None or function is None:
        return None
    if held(function) != listed or parameters(now, listed) != tuple(takes):
        return None
    name = _added(now, call, holder, place, takes)
    if not name or any(True for _ in named(now, name, now.span(function))):
        return None
    kind = _kind(now, holder, name)
    if kind is None or any(one.named for one in takes) or not _is_plain(listed):
        return None
    last = listed.named_children[-1] if listed.named_children else None
    where = now.span(last).end if last is not None else at.start + 1
    return Edit(Span(where, where), (", " if last is not None else "") + name + kind)


def _added(
    now: Parsed, call: Call, holder: tree_sitter.Node, place: Span, takes: Sequence[Parameter]
) -> str:
    """The name of what the call passes at `place` and the function does not take; "" for none."""
    start = now.span(holder).start + 1
    for index, (one, (begin, end)) in enumerate(zip(call.arguments, call.places, strict=True)):
        if not start + begin <= place.end <= start + end:
            continue
        if one.name:
            return one.name if one.name not in [known.name for known in takes] else ""
        through, _, name = one.text.rpartition(".")
        certain = through in ("self", "this") if through else is_known(now, holder, name)
        return name if certain and index == len(takes) == call.by_place - 1 else ""
    return ""


def _kind(now: Parsed, holder: tree_sitter.Node, name: str) -> str | None:
    """How the type of a new parameter is written: as that of the same name around the call. None
    where the language wants one and it is not known."""
    function = function_at(now, holder)
    own = held(function) if function is not None else None
    takes = (parameters(now, own) if own is not None else None) or ()
    kind = next((one.kind for one in takes if one.name == name), "")
    language = now.language.name
    if language == "go":
        return f" {kind}" if kind else None
    if language.startswith("typescript"):
        return f": {kind}" if kind else None
    return f": {kind}" if kind and language == "python" else ""


def _is_plain(listed: tree_sitter.Node) -> bool:
    """Return whether something may be put at the end of a list of parameters."""
    types = [child.type for child in listed.children]
    return types[-2] != "," and not any("splat" in one or "comment" in one for one in types)


def _call_around(parsed: Parsed, span: Span) -> tree_sitter.Node | None:
    """The brackets of the innermost call that hold `span`."""
    for node in reversed(parsed.path_to(max(span.start - 1, 0))):
        up, whole = node.parent, parsed.span(node)
        if up is None or up.type not in CALLS or up.child_by_field_name("arguments") != node:
            continue
        if whole.start < span.start and span.end < whole.end:
            return node
    return None


def _callee(holder: tree_sitter.Node) -> tree_sitter.Node | None:
    """The last name of what is called."""
    node = holder.parent.child_by_field_name("function") if holder.parent is not None else None
    for field in ("attribute", "property", "field"):
        inner = node.child_by_field_name(field) if node is not None else None
        node = inner or node
    return node if node is not None and text_of(node).isidentifier() else None
