"""Types of parameters that are written again where the tree proves that they are the same one.

These are the same parameter of a method that overrides the method, and the parameters to which a
parameter is handed on as it is. The type of a result may be a narrower one in such a method.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tree_sitter

from nearfield.syntax.definitions import name_node
from nearfield.syntax.parser import Parsed
from nearfield.syntax.rust import last_name
from nearfield.syntax.scopes import binds, text_of, walk
from nearfield.types import Span

__all__ = ["Annotation", "annotation_at", "is_narrower", "same_annotations"]

MAX_FUNCTIONS = 2000
"""A document of more is generated."""
_CALLS = frozenset({"call", "call_expression"})
_TESTS = frozenset({"assert_statement", "conditional_expression", "boolean_operator",
                    "binary_expression", "comparison_operator", "if_clause"})  # fmt: skip
_OWN = frozenset({"self", "cls", "this"})


@dataclass(frozen=True, slots=True)
class Annotation:
    """The type of a parameter of a function."""

    function: str
    owner: str
    parameter: str
    text: str


@dataclass(frozen=True, slots=True)
class _Typed:
    """A function with the types of its parameters, None for one that it has not alone."""

    node: tree_sitter.Node
    name: str
    owner: tree_sitter.Node | None
    types: dict[str, tree_sitter.Node | None]


def annotation_at(parsed: Parsed, span: Span) -> Annotation | None:
    """Return the type that holds `span`, in a signature without errors."""
    found = _at(parsed, span)
    if found is None:
        return None
    function, parameter, kind = found
    return Annotation(function.name, _name_of(function.owner), parameter, text_of(kind))


def is_narrower(old: str, new: str) -> bool:
    """Return whether the type `new` takes less than `old`: then those it is for may stay."""
    one, two = ({part.strip() for part in text.split("|")} for text in (old, new))
    had, has = (re.search(r"\b(?:None|Optional|null|undefined)\b", text) for text in (old, new))
    return two < one or (had is not None and has is None)


def same_annotations(parsed: Parsed, span: Span) -> list[Span]:
    """Return the other places of the type that holds `span`."""
    found = _at(parsed, span)
    if found is None:
        return []
    function, parameter, kind = found
    functions = list(_functions(parsed))
    if len(functions) > MAX_FUNCTIONS:
        return []
    named = [one for one in functions if one.name == function.name]
    owners = [one.owner for one in named]
    places = [
        one.types.get(parameter)
        for one in named
        if owners.count(one.owner) == owners.count(function.owner) == 1  # no overloads
        and _overrides(function, one)
    ]
    places += _handed_on(parsed, function, parameter, functions)
    spans = dict.fromkeys(
        parsed.span(one)
        for one in places
        if one is not None and text_of(one) == text_of(kind) and one != kind
    )
    return list(spans)


def _at(parsed: Parsed, span: Span) -> tuple[_Typed, str, tree_sitter.Node] | None:
    for node in reversed(parsed.path_to(max(span.start - 1, 0))):
        function = _read(parsed, node) if node.type in parsed.language.functions else None
        if function is None:
            continue
        for name, kind in function.types.items():
            if kind is not None:
                held = parsed.span(kind)
                if held.start <= span.start and span.end <= held.end:
                    return function, name, kind
        return None
    return None


def _functions(parsed: Parsed) -> Iterator[_Typed]:
    for node in walk(parsed.root):
        found = _read(parsed, node) if node.type in parsed.language.functions else None
        if found is not None:
            yield found


def _read(parsed: Parsed, node: tree_sitter.Node) -> _Typed | None:
    """Return a named function whose signature has no errors."""
    name, takes = name_node(node), node.child_by_field_name("parameters")
    if name is None or takes is None or takes.has_error:
        return None
    types: dict[str, tree_sitter.Node | None] = {}
    for child in takes.named_children:
        if child.type in parsed.language.comments | {"self_parameter"}:
            continue
        names = child.children_by_field_name("name") or child.children_by_field_name("pattern")
        names = names or child.named_children[:1] or [child]
        for one in names:
            if text_of(one) not in _OWN:
                types[text_of(one)] = _bare(child, "type") if len(names) == 1 else None
    owner = node.child_by_field_name("receiver") or node.parent
    while owner is not None and owner.type not in parsed.language.classes | {"parameter_list"}:
        owner = owner.parent if owner.type not in parsed.language.functions else None
    return _Typed(node, text_of(name), owner, types)


def _bare(node: tree_sitter.Node, field: str) -> tree_sitter.Node | None:
    """Return the type in a field, without the colon in front of it."""
    kind = node.child_by_field_name(field)
    if kind is not None and kind.type == "type_annotation":
        kind = kind.named_children[0] if kind.named_child_count == 1 else None
    return kind if kind is not None and not kind.has_error else None


def _name_of(owner: tree_sitter.Node | None) -> str:
    if owner is None:
        return ""
    name = owner.child_by_field_name("name") or owner.child_by_field_name("type")
    return text_of(name if name is not None else owner)


def _overrides(function: _Typed, other: _Typed) -> bool:
    """Return whether the class of the method `other` names that of `function` as its base."""
    if function.owner is None or other.owner is None or function.owner == other.owner:
        return False
    if function.owner.type == "trait_item":
        trait = last_name(other.owner.child_by_field_name("trait"))
        return other.owner.type == "impl_item" and trait == _name_of(function.owner)
    body, name = other.owner.child_by_field_name("body"), name_node(other.owner)
    base = _name_of(function.owner)
    if body is None or name is None or not base.isidentifier():
        return False
    head = text_of(other.owner).partition(text_of(body))[0].partition(text_of(name))[2]
    return re.search(rf"(?<![\w.]){base}\b", head) is not None


def _handed_on(
    parsed: Parsed, function: _Typed, parameter: str, functions: Sequence[_Typed]
) -> Iterator[tree_sitter.Node | None]:
    """Yield the types of the parameters for which a call in `function` passes its `parameter`."""
    body = function.node.child_by_field_name("body")
    if body is None:
        return
    uses = [one for one in walk(body) if one.type == "identifier" and text_of(one) == parameter]
    if any(binds(one, function.node) or _is_tested(one, body) for one in uses):
        return  # it may be of a narrower type where it is handed on
    for use in uses:
        named = use.parent if use.parent and use.parent.type == "keyword_argument" else None
        argument = named if named is not None else use
        call = argument.parent.parent if argument.parent is not None else None
        if call is None or call.type not in _CALLS or argument.parent is None:
            continue
        if call.child_by_field_name("arguments") != argument.parent:
            continue
        target = _called(call, function, functions)
        if target is None:
            continue
        if named is not None:
            if named.child_by_field_name("value") == use:
                name = named.child_by_field_name("name")
                yield target.types.get(text_of(name)) if name is not None else None
            continue
        passed = [
            one for one in argument.parent.named_children
            if one.type not in parsed.language.comments
        ]  # fmt: skip
        index = passed.index(argument)
        names = list(target.types)
        plain = all("splat" not in one.type and "spread" not in one.type for one in passed[:index])
        if plain and index < len(names) and "*" not in "".join(names[: index + 1]):
            yield target.types[names[index]]


def _is_tested(use: tree_sitter.Node, body: tree_sitter.Node) -> bool:
    """Return whether what is done in `body` depends on the value."""
    node = use
    while node.parent is not None and node != body:
        up = node.parent
        if node in (up.child_by_field_name("condition"), up.child_by_field_name("subject")):
            return True
        if up.type in _TESTS:
            return True
        node = up
    return False


def _called(call: tree_sitter.Node, function: _Typed, functions: Sequence[_Typed]) -> _Typed | None:
    """Return the only function of the document that a call can mean: one of the document, or a
    method of the same class."""
    callee = call.child_by_field_name("function")
    through, _, name = text_of(callee).rpartition(".") if callee is not None else ("", "", "")
    if through and through not in _OWN:
        return None
    found = [one for one in functions if one.name == name]
    if len(found) != 1 or found[0].node == function.node:
        return None
    is_own = found[0].owner is not None and found[0].owner == function.owner
    return found[0] if is_own == bool(through) and (is_own or found[0].owner is None) else None
