"""Facts and an explanation as one Markdown text. Text of files and models is shown as code or as
`prose`."""

from __future__ import annotations

from nearfield.features.hover.facts import Facts
from nearfield.features.hover.subject import Subject, SubjectKind
from nearfield.features.prose import code_block, code_span, prose, words

__all__ = ["PREPARING", "described", "page"]

PREPARING = "*An explanation is being prepared; it is there the next time.*"


def page(
    subject: Subject,
    facts: Facts | None,
    language: str,
    explanation: str = "",
    by: str = "",
    is_preparing: bool = False,
) -> str:
    """Return the text to show, "" for none. `explanation` is Markdown from `prose`; `by` names the
    model."""
    parts = [described(facts, language)] if facts is not None else []
    if explanation:
        told = (_heading(subject, facts, language), explanation, f"*{words(by)}*" if by else "")
        parts.append("\n\n".join(filter(None, told)))
    elif is_preparing:
        parts.append(PREPARING)
    return "\n\n---\n\n".join(filter(None, parts))


def described(facts: Facts, language: str) -> str:
    """Return the facts alone."""
    where = code_span(f"{facts.path}:{facts.row + 1}")
    parts = [f"{words(facts.kind)} {code_span(facts.name)}, defined in {where}"]
    if facts.others:
        parts.append(f"and in {_count(facts.others, 'other place')}")
    files = f" in {_count(facts.files, 'file')}" if facts.files > 1 else ""
    more = "more than " if facts.more else ""
    parts.append(f"· {more}{_count(facts.uses, 'use')}{files}")
    told = [code_block(facts.signature, language), " ".join(parts)]
    if facts.doc:
        told.append(prose(facts.doc))
    return "\n\n".join(told)


def _heading(subject: Subject, facts: Facts | None, language: str) -> str:
    """Return the subject of the explanation, "" if the facts above name it."""
    if subject.kind is SubjectKind.PROBLEM:
        return f"**{words(subject.text)}**"
    if facts is not None or subject.kind in (SubjectKind.SELECTION, SubjectKind.NAME):
        return ""
    if subject.kind is SubjectKind.KEY:
        return f"**{code_span(subject.text.partition(chr(10))[0])}**"
    return code_block(subject.text, "regex" if subject.kind is SubjectKind.REGEX else language)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
