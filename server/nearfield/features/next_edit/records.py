"""A key that was renamed in one of several records of the same kind.

Records in one list have the same keys, so that one example is enough, where two are needed
elsewhere: each of the others had the old key, and none has the new one.
"""

from __future__ import annotations

from collections.abc import Iterator

import tree_sitter

from nearfield.features.next_edit.edit_history import EditGroup, word_around
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import text_of
from nearfield.types import Span

__all__ = ["renamed_key", "same_keys"]

LEAST_OTHERS = 2
"""Records besides the one that was changed; two records may differ on purpose."""
_RECORDS = frozenset({"dictionary", "object", "literal_value"})
_PAIRS = frozenset({"pair", "keyed_element"})
_WRAPPED = frozenset(
    {"literal_element", "composite_literal", "parenthesized_expression", "unary_expression"}
)


def renamed_key(now: Parsed, burst: EditGroup) -> tuple[str, str] | None:
    """The old and the new key, where `burst` has changed nothing but that."""
    old, new = word_around(burst.before, burst.was), word_around(now.text, burst.now)
    was, key = burst.before[old.start : old.end], now.text[new.start : new.end]
    if not was.isidentifier() or not key.isidentifier() or was == key:
        return None
    pair = _pair_at(now, new)
    return (was, key) if pair is not None and _key(pair) == key else None


def same_keys(now: Parsed, burst: EditGroup, was: str, key: str) -> list[Span]:
    """Where the other records of the list still have the key `was`, without its quotes; nothing
    where they are not all of a kind."""
    pair = _pair_at(now, word_around(now.text, burst.now))
    record = pair.parent if pair is not None else None
    if record is None or record.type not in _RECORDS or was in _keys(record):
        return []
    holder = record
    while holder.parent is not None and (
        holder.parent.type in _WRAPPED | _PAIRS
        and holder.parent.child_by_field_name("key") != holder
    ):
        holder = holder.parent
    others = [
        one
        for child in (holder.parent.named_children if holder.parent is not None else ())
        if child != holder and (one := _record(child)) is not None
    ]
    keys = [_keys(one) for one in others]
    if len(others) < LEAST_OTHERS or any(was not in one or key in one for one in keys):
        return []
    return [_inside(now, one[was]) for one in keys]


def _pair_at(now: Parsed, span: Span) -> tree_sitter.Node | None:
    """The pair whose key is at `span`."""
    for node in reversed(now.path_to(span.start)):
        if node.type in _PAIRS:
            key = _key_node(node)
            within = now.span(key) if key is not None else None
            held = within is not None and within.start <= span.start and span.end <= within.end
            return node if held else None
    return None


def _key_node(pair: tree_sitter.Node) -> tree_sitter.Node | None:
    return pair.child_by_field_name("key") or next(iter(pair.named_children), None)


def _key(pair: tree_sitter.Node) -> str:
    node = _key_node(pair)
    return text_of(node).strip("\"'`") if node is not None else ""


def _keys(record: tree_sitter.Node) -> dict[str, tree_sitter.Node]:
    return {
        _key(pair): node
        for pair in record.named_children
        if pair.type in _PAIRS and (node := _key_node(pair)) is not None
    }


def _record(node: tree_sitter.Node) -> tree_sitter.Node | None:
    """The record that `node` is, or is the wrapping or the value of."""
    for one in _unwrapped(node):
        if one.type in _RECORDS:
            return one
    return None


def _unwrapped(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    found: tree_sitter.Node | None = node
    while found is not None:
        yield found
        if found.type in _PAIRS | _WRAPPED:
            found = found.named_children[-1] if found.named_children else None
        else:
            return


def _inside(now: Parsed, key: tree_sitter.Node) -> Span:
    """The key without its quotes."""
    span = now.span(key)
    quotes = now.text[span.start] in "\"'`"
    return Span(span.start + quotes, span.end - quotes)
