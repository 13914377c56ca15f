"""Calls of a function whose parameters were changed, and the arguments that each then needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tree_sitter

from nearfield.features.next_edit.imported import ExportedName, exported
from nearfield.features.next_edit.members import member_of, members, receiver
from nearfield.features.next_edit.parameters import (
    CallArguments,
    Parameter,
    SignatureChange,
    arguments,
    fits,
    held,
    parameters,
)
from nearfield.features.next_edit.uses import named, uses_of
from nearfield.syntax.definitions import name_node
from nearfield.syntax.parser import Parsed
from nearfield.syntax.scopes import binds, function_at, is_parameter, text_of
from nearfield.types import Span

__all__ = [
    "CALLS",
    "Signature",
    "brackets_at",
    "call_at",
    "calls_at",
    "calls_of",
    "corrected",
    "definition_of",
    "is_known",
    "signature_at",
    "value_in",
]

MAX_CALLS = 100
CALLS = frozenset({"call", "call_expression", "new_expression"})
_CONSTRUCTORS = frozenset({"__init__", "constructor"})
_METHODS = frozenset({"function_definition", "method_definition", "method_declaration"})
_LITERAL = re.compile(r"-?[\d.]+|\"[^\"\\\n]*\"|'[^'\\\n]*'|True|False|None|true|false|null|nil")
_BARE = frozenset(
    {"int", "int64", "float64", "string", "bool", "error", "byte", "str", "float", "bytes",
     "number", "boolean", "any", "object", "unknown", "&str"}
)  # fmt: skip
"""Types of which a function has many values: being of one tells nothing."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A function of a document: its name, the span of that, and its parameters."""

    name: str
    place: Span
    takes: tuple[Parameter, ...]


def signature_at(parsed: Parsed, span: Span) -> Signature | None:
    """Return the function whose parameter list holds `span`."""
    holder = list_at(parsed, span)
    function = holder.parent if holder is not None else None
    own = name_node(function) if function is not None else None
    takes = parameters(parsed, holder) if holder is not None else None
    if own is None or takes is None:
        return None
    return Signature(text_of(own), parsed.span(own), takes)


def list_at(parsed: Parsed, span: Span) -> tree_sitter.Node | None:
    """Return the parameter list of a named function that holds `span` between its brackets."""
    for node in reversed(parsed.path_to(max(span.start - 1, 0))):
        if node.type not in parsed.language.functions:
            continue
        found = held(node)
        if found is None or found.has_error:
            return None
        whole = parsed.span(found)
        return found if whole.start < span.start and span.end < whole.end else None
    return None


def calls_of(parsed: Parsed, signature: Signature) -> list[Span]:
    """Return the spans of the arguments, with brackets, of the calls that fit `signature`."""
    uses = uses_of(parsed, signature.place)
    if uses is None or not uses.bound:
        return []
    places = list(uses.others)
    if uses.owner and signature.name in _CONSTRUCTORS:
        places = [parsed.span(one) for one in named(parsed, uses.owner, uses.within)]
    return calls_at(parsed, places, signature)


def calls_at(parsed: Parsed, places: Sequence[Span], signature: Signature) -> list[Span]:
    """Return the same of the calls of the functions named at `places`."""
    found: list[Span] = []
    for place in places[:MAX_CALLS]:
        holder = _brackets(parsed, place)
        call = arguments(holder) if holder is not None else None
        if holder is not None and call is not None and fits(call, signature.takes):
            found.append(parsed.span(holder))
    return found


def definition_of(parsed: Parsed, signature: Signature) -> ExportedName | None:
    """Return what other files call, where they can; of a constructor its class."""
    uses = uses_of(parsed, signature.place)
    found = exported(parsed, uses) if uses is not None else None
    if found is not None and found.owner and signature.name in _CONSTRUCTORS:
        return ExportedName(found.owner)
    return found


def corrected(
    call: CallArguments,
    change: SignatureChange,
    before: Sequence[Parameter],
    value: Callable[[Parameter], str],
) -> str | None:
    """Return the new text between the brackets of a call that fitted `before`; None where nothing
    has to change, or the change is not certain."""
    if change.order:
        return _reordered(call, change.order)
    if change.removed:
        return _without(call, change.removed, before)
    return _with(call, change.added, value)


def value_in(
    parsed: Parsed,
    shown: Sequence[CallArguments],
    after: Sequence[Parameter],
    holder: tree_sitter.Node,
) -> Callable[[Parameter], str]:
    """Return a function that says what the call with the brackets `holder` passes for a new
    parameter, "" for nothing certain. It is what the user passed in a corrected call (`shown`), a
    variable of the parameter's name, or the only parameter of its type."""
    by_place = [one.name for one in after if not one.named]

    def value(wanted: Parameter) -> str:
        for call in shown:
            given = _given(call, wanted.name, by_place)
            if given and (_LITERAL.fullmatch(given) or is_known(parsed, holder, given)):
                return given
        if parsed.language.name == "rust":
            return _parameter_alike(parsed, holder, wanted) or _of_type(parsed, holder, wanted.kind)
        if is_known(parsed, holder, wanted.name):
            return wanted.name
        return _own_member(parsed, holder, wanted.name) or _of_type(parsed, holder, wanted.kind)

    return value


def _given(call: CallArguments, name: str, by_place: Sequence[str]) -> str:
    """Return the text that `call` passes for the parameter `name`, "" for none."""
    for one in call.arguments:
        if one.name == name:
            return one.text
    index = by_place.index(name) if name in by_place else call.by_place
    return call.arguments[index].text if index < call.by_place else ""


def _brackets(parsed: Parsed, place: Span) -> tree_sitter.Node | None:
    """Return the arguments of the call whose function's name is at `place`."""
    path = parsed.path_to(place.start)
    for node in reversed(path[:-1]):
        if node.type in CALLS:
            callee = node.child_by_field_name("function") or node.child_by_field_name("constructor")
            if callee is None or parsed.span(callee).end != place.end:
                return None
            return node.child_by_field_name("arguments")
        if node.end_byte > path[-1].end_byte:
            return None
    return None


def _reordered(call: CallArguments, order: tuple[int, ...]) -> str | None:
    if any(one.name for one in call.arguments):
        return None
    # Those at the end may be left out, if what is passed stays together.
    order = order[: len(call.arguments)]
    if sorted(order) != list(range(len(call.arguments))):
        return None
    texts = [call.arguments[index].text for index in order]
    return _replaced(call, [(*place, text) for place, text in zip(call.places, texts, strict=True)])


def _without(
    call: CallArguments, removed: tuple[tuple[int, Parameter], ...], before: Sequence[Parameter]
) -> str | None:
    gone = {one.name for _, one in removed}
    by_place = [one.name for one in before if not one.named]
    cuts: list[tuple[int, int, str]] = []
    last = len(call.arguments) - 1
    kept = -1
    for index, (argument, (start, end)) in enumerate(zip(call.arguments, call.places, strict=True)):
        name = argument.name or by_place[index]
        if name not in gone:
            kept = index
        elif index < last:
            cuts.append((start, call.places[index + 1][0], ""))
        else:
            # The commas in front of the last ones go with them.
            cuts = [cut for cut in cuts if kept < 0 or cut[0] < call.places[kept][1]]
            cuts.append((call.places[kept][1] if kept >= 0 else start, end, ""))
    return _replaced(call, cuts) if cuts else None


def _with(
    call: CallArguments,
    added: tuple[tuple[int, Parameter], ...],
    value: Callable[[Parameter], str],
) -> str | None:
    inserts: list[tuple[int, int, str]] = []
    passed = 0
    for index, one in added:
        place = index - passed  # counted in the arguments as they are
        fills = not one.named and place < call.by_place
        if not (one.required or fills) or any(a.name == one.name for a in call.arguments):
            continue
        text = value(one)
        # Where its own name is passed already, the list of parameters is still being written.
        if not text or text == one.name in [a.text for a in call.arguments if not a.name]:
            return None
        if one.named or place > call.by_place:
            inserts.append(_behind(call, len(call.arguments), f"{one.name}={text}"))
        else:
            inserts.append(_behind(call, place, text))
            passed += 1
    return _replaced(call, inserts) if inserts else None


def _behind(call: CallArguments, count: int, text: str) -> tuple[int, int, str]:
    """Return the insertion of `text` after the first `count` arguments."""
    if count:
        end = call.places[count - 1][1]
        return end, end, f", {text}"
    start = call.places[0][0] if call.arguments else len(call.inside)
    return start, start, f"{text}, " if call.arguments else text


def _replaced(call: CallArguments, parts: Sequence[tuple[int, int, str]]) -> str:
    text = call.inside
    # From the end; at one place the later one is inserted first, so that they are in order.
    for _, (start, end, new) in sorted(
        enumerate(parts), key=lambda one: (one[1][0], one[0]), reverse=True
    ):
        text = text[:start] + new + text[end:]
    return text


def is_known(parsed: Parsed, holder: tree_sitter.Node, name: str) -> bool:
    """Return whether `name` is a variable that has a value where `holder` is."""
    if not name.isidentifier():
        return False
    function = function_at(parsed, holder)
    while function is not None:
        for node in named(parsed, name, parsed.span(function)):
            bound = node.type == "identifier" and (
                is_parameter(node, function)
                or (binds(node, function) and function_at(parsed, node) == function)
            )
            if bound and node.end_byte < holder.start_byte:
                return True
        function = function_at(parsed, function)
    return any(
        node.type == "identifier"
        and node.end_byte < holder.start_byte
        and function_at(parsed, node) is None
        and binds(node, parsed.root)
        for node in named(parsed, name, Span(0, len(parsed.text)))
    )


def _of_type(parsed: Parsed, holder: tree_sitter.Node, kind: str) -> str:
    """Return the only parameter of the type in the function around a call. One of Rust that is no
    reference would be moved away."""
    if parsed.language.name == "rust" and not kind.startswith("&"):
        return ""
    if not kind or kind in _BARE:
        return ""
    found = [one.name for one in _parameters_around(parsed, holder) if one.kind == kind]
    return found[0] if len(found) == 1 else ""


def _parameter_alike(parsed: Parsed, holder: tree_sitter.Node, wanted: Parameter) -> str:
    """Return the name of `wanted` where the function around a call takes the same."""
    return wanted.name if wanted in _parameters_around(parsed, holder) else ""


def _parameters_around(parsed: Parsed, holder: tree_sitter.Node) -> tuple[Parameter, ...]:
    """Return the parameters of the function around a call."""
    function = function_at(parsed, holder)
    own = held(function) if function is not None else None
    return (parameters(parsed, own) if own is not None else None) or ()


def _own_member(parsed: Parsed, holder: tree_sitter.Node, name: str) -> str:
    """Return the expression for the field `name` of the object whose method is around a call."""
    function = function_at(parsed, holder)
    own = name_node(function) if function is not None else None
    owner = member_of(parsed, own) if own is not None else None
    if function is None or owner is None:
        return ""
    if parsed.language.name == "python":
        takes = held(function)
        through = text_of(takes.named_children[0]) if takes and takes.named_children else ""
        through = through if through == "self" else ""
    else:
        static = any(child.type == "static" for child in function.children)
        through = receiver(function)[0] or ("" if static else "this")
    fields = (
        one
        for one in members(parsed, name, owner)
        if one.defines and one.node.parent and one.node.parent.type not in _METHODS
    )
    return f"{through}.{name}" if through and any(True for _ in fields) else ""


def call_at(parsed: Parsed, span: Span) -> CallArguments | None:
    """Return the arguments of the call whose brackets are at `span`."""
    holder = brackets_at(parsed, span)
    return arguments(holder) if holder is not None else None


def brackets_at(parsed: Parsed, span: Span) -> tree_sitter.Node | None:
    """Return the node of a call's arguments whose span is `span`."""
    for node in reversed(parsed.path_to(span.start)):
        if parsed.span(node) == span:
            up = node.parent
            return node if up is not None and up.type in CALLS else None
    return None
