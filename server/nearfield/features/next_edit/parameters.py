"""Parameters of functions and arguments of calls, read from the tree and compared.

Only plain ones are compared. A call that unpacks a list, a function that takes any number of
positional arguments, and two changes at once are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import tree_sitter

from nearfield.syntax.definitions import name_node
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import text_of

__all__ = [
    "Argument",
    "CallArguments",
    "Parameter",
    "SignatureChange",
    "arguments",
    "changed",
    "held",
    "parameters",
]

_SPREADS = frozenset({"list_splat", "dictionary_splat", "spread_element", "variadic_argument"})
_VARIADIC = frozenset({"list_splat_pattern", "rest_pattern", "variadic_parameter_declaration"})
_OPTIONAL = frozenset({"default_parameter", "typed_default_parameter", "optional_parameter",
                       "assignment_pattern"})  # fmt: skip
_OWN = frozenset({"self", "cls"})
_COMMENTS = frozenset({"comment", "line_comment", "block_comment"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter. `required` where a call must pass it, `named` where only by keyword; `kind` is
    the text of its type, "" for none."""

    name: str
    required: bool
    named: bool = False
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call: its text, and in Python its keyword."""

    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class CallArguments:
    """The arguments of a call: `inside` is the text between the brackets, `places` are the spans of
    the arguments in it."""

    inside: str
    arguments: tuple[Argument, ...]
    places: tuple[tuple[int, int], ...]

    @property
    def by_place(self) -> int:
        """Return the number of positional arguments."""
        return sum(not one.name for one in self.arguments)


@dataclass(frozen=True, slots=True)
class SignatureChange:
    """A change of a parameter list: `added` and `removed` by their index in the new and the old
    list, or all of it in another `order` (for each new place the old index)."""

    added: tuple[tuple[int, Parameter], ...] = ()
    removed: tuple[tuple[int, Parameter], ...] = ()
    order: tuple[int, ...] = ()


def held(function: tree_sitter.Node) -> tree_sitter.Node | None:
    """Return the node of a function's parameter list, with brackets."""
    found = function.child_by_field_name("parameters")
    return found if found is not None and name_node(function) is not None else None


def parameters(parsed: Parsed, holder: tree_sitter.Node) -> tuple[Parameter, ...] | None:
    """Return the parameters in a list of them, without `self`; None where the list is not plain."""
    found: list[Parameter] = []
    named = False
    for child in holder.named_children:
        if child.type in parsed.language.comments | {"positional_separator", "self_parameter"}:
            continue
        if child.type == "keyword_separator":
            named = True
            continue
        if child.type == "dictionary_splat_pattern":
            continue
        if child.has_error or _is_variadic(child):
            return None
        found.extend(_read(child, named))
    if parsed.language.name == "python" and found and found[0].name in _OWN:
        found = found[1:]
    names = [one.name for one in found]
    if "" in names or "this" in names or len(set(names)) < len(names):
        return None
    return tuple(found)


def changed(before: tuple[Parameter, ...], after: tuple[Parameter, ...]) -> SignatureChange | None:
    """Return the change between two lists; None for nothing that a call must follow, or too
    much."""
    old, new = [one.name for one in before], [one.name for one in after]
    if old == new:
        return None
    added = tuple((i, one) for i, one in enumerate(after) if one.name not in old)
    removed = tuple((i, one) for i, one in enumerate(before) if one.name not in new)
    kept_old = [one for one in old if one in new]
    kept_new = [one for one in new if one in old]
    if not added and not removed:
        return SignatureChange(order=tuple(old.index(one) for one in new))
    if kept_old != kept_new or (added and removed):
        return None
    return SignatureChange(added, removed)


def arguments(holder: tree_sitter.Node) -> CallArguments | None:
    """Return the arguments in a call's brackets; None where they are not plain."""
    if holder.has_error or len(holder.children) < 2 or holder.children[0].type != "(":
        return None
    base = holder.start_byte + 1
    source = holder.text or b""
    found: list[Argument] = []
    places: list[tuple[int, int]] = []
    inside = source[1:-1].decode("utf-8", "replace")
    for child in holder.named_children:
        if child.type in _SPREADS:
            return None
        if child.type in _COMMENTS:
            continue
        name = child.child_by_field_name("name") if child.type == "keyword_argument" else None
        value = child.child_by_field_name("value") if name is not None else child
        if value is None:
            return None
        found.append(Argument(text_of(value), text_of(name) if name is not None else ""))
        start = len(source[1 : 1 + child.start_byte - base].decode("utf-8", "replace"))
        places.append((start, start + len(text_of(child))))
    if any(one.name and not two.name for one, two in pairwise(found)):
        return None
    return CallArguments(inside, tuple(found), tuple(places))


def fits(call: CallArguments, takes: tuple[Parameter, ...]) -> bool:
    """Return whether the call passes what a function that `takes` these needs."""
    by_place = [one for one in takes if not one.named]
    if call.by_place > len(by_place):
        return False
    passed = {one.name for one in by_place[: call.by_place]}
    passed |= {one.name for one in call.arguments if one.name}
    return passed <= {one.name for one in takes} and all(
        one.name in passed for one in takes if one.required
    )


def _read(node: tree_sitter.Node, named: bool) -> list[Parameter]:
    kind = node.child_by_field_name("type")
    text = text_of(kind).lstrip(": ") if kind is not None else ""
    if node.type == "parameter_declaration":  # Go: `a, b int`
        names = node.children_by_field_name("name")
        return [Parameter(text_of(one), True, kind=text) for one in names] or [Parameter("", True)]
    inner = node
    for field in ("name", "pattern", "left"):
        inner = node.child_by_field_name(field) or inner
    if node.type == "typed_parameter":
        inner = node.named_children[0]
    required = node.type not in _OPTIONAL and node.child_by_field_name("value") is None
    name = text_of(inner) if inner.type == "identifier" else ""
    return [Parameter(name, required, named, text)]


def _is_variadic(node: tree_sitter.Node) -> bool:
    return node.type in _VARIADIC or any(one.type in _VARIADIC for one in node.named_children)
