"""Members of a class: their definitions and uses, as far as the tree shows the owner.

A member is used through `self`, `this` or the receiver of a method. A variable works too, if the
function around it declares it to be of the class or creates it from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter

from nearfield.features.next_edit.rust_members import defines_member, is_method, owner_of
from nearfield.syntax.definitions import name_node, name_of
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import function_at, text_of
from nearfield.types import Span

__all__ = ["ACCESS", "MemberUse", "member_of", "members"]

ACCESS = {
    "attribute": ("object", "attribute"),
    "member_expression": ("object", "property"),
    "selector_expression": ("operand", "field"),
}
"""Nodes of a member access: the fields of the object, and of the member's name."""
_OWN = frozenset({"self", "cls", "this"})
_REACHED = re.compile(r"(\w+)\.\Z")
"""The object through which a member is reached, at the end of the text before it."""
MAX_RECEIVER_CHARS = 64
"""The longest name through which a member is looked for."""
_FIELDS = frozenset({"public_field_definition", "field_definition", "method_definition"})


@dataclass(frozen=True, slots=True)
class MemberUse:
    """A place where a member is named; `defines` where that adds it to the class."""

    node: tree_sitter.Node
    defines: bool


def members(parsed: Parsed, name: str, owner: str) -> Iterator[MemberUse]:
    """Yield the places where the member `name` of the class `owner` is named."""
    if parsed.language.name == "rust":
        yield from _rust(parsed, name, owner)
        return
    classes = _spans(parsed, owner)
    for match in re.finditer(rf"{re.escape(name)}(?!\w)", parsed.text):
        if not _may_be(parsed, match.start(), owner, classes):
            continue
        path = parsed.path_to(match.start())
        node = path[-1] if path else None
        if node is not None and text_of(node) == name and member_of(parsed, node) == owner:
            yield MemberUse(node, _defines(parsed, node))


def _rust(parsed: Parsed, name: str, owner: str) -> list[MemberUse]:
    found: list[MemberUse] = []
    for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", parsed.text):
        path = parsed.path_to(match.start())
        node = path[-1] if path else None
        if node is not None and text_of(node) == name and member_of(parsed, node) == owner:
            found.append(MemberUse(node, defines_member(node)))
    # A field and a method of one name cannot be told apart by it.
    kinds = {is_method(one.node) for one in found if one.defines}
    return found if len(kinds) < 2 else []


def _spans(parsed: Parsed, owner: str) -> list[Span]:
    """Return the spans of the classes called `owner`."""
    found: list[Span] = []
    for match in re.finditer(rf"class\s+({re.escape(owner)})\b", parsed.text):
        path = parsed.path_to(match.start(1))
        held = (node for node in path if node.type in parsed.language.classes)
        found.extend(parsed.span(node) for node in held if name_of(parsed, node) == owner)
    return found


def _may_be(parsed: Parsed, at: int, owner: str, classes: list[Span]) -> bool:
    """Return whether the text allows a name to be a member of `owner`: looking up the tree is slow
    where a name is common."""
    if at and (parsed.text[at - 1] == "_" or parsed.text[at - 1].isalnum()):
        return False
    reached = _REACHED.search(parsed.text, max(0, at - MAX_RECEIVER_CHARS), at)
    if parsed.language.name == "go":
        starts = (parsed.text.rfind(word, 0, at) for word in ("\nfunc", "\ntype"))
        return owner in parsed.text[max(*starts, 0) : at]
    if reached is not None and reached[1] not in _OWN:
        return True
    return any(one.start <= at < one.end for one in classes)


def member_of(parsed: Parsed, node: tree_sitter.Node) -> str | None:
    """Return the class whose member `node` names; None where that is not certain, or it is none."""
    up = node.parent
    if up is None:
        return None
    if parsed.language.name == "rust":
        return owner_of(parsed, node)
    if up.type in ACCESS:
        through, field = (up.child_by_field_name(one) for one in ACCESS[up.type])
        if field != node or through is None:
            return None
        return _class_of(parsed, through)
    if parsed.language.name == "go":
        return _go_owner(node, up)
    if up.type in _FIELDS and up.child_by_field_name("name") == node:
        return _class_around(parsed, up)
    if parsed.language.name == "python" and _is_in_class(node):
        return _class_around(parsed, node)
    return None


def receiver(function: tree_sitter.Node) -> tuple[str, str]:
    """Return the name and the type of a Go method's receiver, "" for none."""
    held = function.child_by_field_name("receiver")
    one = held.named_children[0] if held is not None and held.named_children else None
    if one is None:
        return "", ""
    name, kind = one.child_by_field_name("name"), one.child_by_field_name("type")
    return text_of(name) if name else "", text_of(kind).lstrip("*").partition("[")[
        0
    ] if kind else ""


def _class_of(parsed: Parsed, through: tree_sitter.Node) -> str | None:
    """Return the class of the object through which a member is reached."""
    name = text_of(through)
    if name in _OWN and parsed.language.name != "go":
        return _class_around(parsed, through)
    if through.type != "identifier":
        return None
    function = function_at(parsed, through)
    if function is None:
        return None
    outer = function
    while outer is not None:
        own, kind = receiver(outer)
        if own and own == name:
            return kind
        outer = function_at(parsed, outer)
    return _declared(parsed, text_of(function), name)


def _declared(parsed: Parsed, function: str, name: str) -> str | None:
    """Return the class that the text of a function plainly gives the variable `name`."""
    variable = rf"(?<![\w.]){re.escape(name)}"
    if parsed.language.name == "python":
        patterns = (rf"{variable}\s*:\s*(\w+)\s*[,)=\n]", rf"{variable}\s*=\s*([A-Z]\w*)\(")
    elif parsed.language.name == "go":
        patterns = (rf"{variable}\s+\*?(\w+)\s*[,)\n]", rf"{variable}\s*:=\s*&?(\w+)\{{")
    else:
        patterns = (rf"{variable}\s*:\s*(\w+)\s*[,)=;]", rf"{variable}\s*=\s*new\s+(\w+)\(")
    found = {one for pattern in patterns for one in re.findall(pattern, function)}
    if parsed.language.name == "go":
        found -= {"int", "string", "bool", "in", "range"}
    return found.pop() if len(found) == 1 else None


def _go_owner(node: tree_sitter.Node, up: tree_sitter.Node) -> str | None:
    if up.type == "method_declaration" and up.child_by_field_name("name") == node:
        return receiver(up)[1] or None
    if up.type == "field_declaration" and node.type == "field_identifier":
        spec = up.parent.parent.parent if up.parent and up.parent.parent else None
        name = spec.child_by_field_name("name") if spec and spec.type == "type_spec" else None
        return text_of(name) if name else None
    if up.type == "literal_element" and up.parent is not None:
        pair = up.parent
        literal = pair.parent.parent if pair.parent is not None else None
        kind = literal.child_by_field_name("type") if literal is not None else None
        keyed = pair.type == "keyed_element" and pair.child_by_field_name("key") == up
        return text_of(kind) if keyed and kind and kind.type == "type_identifier" else None
    return None


def _is_in_class(node: tree_sitter.Node) -> bool:
    """Return whether a Python name is defined directly in the body of a class."""
    up = node.parent
    if up is None:
        return False
    if up.type == "function_definition" and name_node(up) == node:
        up = up.parent
        if up is not None and up.type == "decorated_definition":
            up = up.parent
    elif up.type == "assignment" and up.child_by_field_name("left") == node:
        up = up.parent.parent if up.parent else None
    else:
        return False
    return up is not None and up.parent is not None and up.parent.type == "class_definition"


def _class_around(parsed: Parsed, node: tree_sitter.Node) -> str | None:
    up = node.parent
    while up is not None and up.type not in parsed.language.classes:
        up = up.parent
    name = name_node(up) if up is not None else None
    return text_of(name) if name is not None else None


def _defines(parsed: Parsed, node: tree_sitter.Node) -> bool:
    up = node.parent
    if up is None:
        return False
    if up.type not in ACCESS:
        return up.type != "literal_element"
    if parsed.language.name == "go":
        return False
    target = up.parent
    if target is None or target.type not in ("assignment", "assignment_expression"):
        return False
    return target.child_by_field_name("left") == up
