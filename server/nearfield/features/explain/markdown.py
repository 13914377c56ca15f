"""Facts and an explanation as one Markdown text. What comes from files or a model is shown as code
or as harmless text."""

from __future__ import annotations

import re

from nearfield.features.explain.facts import Facts
from nearfield.features.explain.subject import Kind, Subject
from nearfield.features.explain.wording import harmless

__all__ = ["PREPARING", "described", "page"]

PREPARING = "*An explanation is being prepared; it is there the next time.*"


def page(
    subject: Subject,
    facts: Facts | None,
    language: str,
    explanation: str = "",
    by: str = "",
    preparing: bool = False,
) -> str:
    """What is shown; "" when there is nothing. `by` names the model that has explained."""
    parts = [described(facts, language)] if facts is not None else []
    if explanation:
        heading = _heading(subject, facts, language)
        parts.append("\n\n".join(part for part in (heading, explanation, _by(by)) if part))
    elif preparing:
        parts.append(PREPARING)
    return "\n\n---\n\n".join(part for part in parts if part)


def described(facts: Facts, language: str) -> str:
    """The facts alone."""
    where = f"`{facts.path}:{facts.row + 1}`"
    parts = [f"{facts.kind} `{facts.name}`, defined in {where}"]
    if facts.others:
        parts.append(f"and in {_count(facts.others, 'other place')}")
    files = f" in {_count(facts.files, 'file')}" if facts.files > 1 else ""
    more = "more than " if facts.more else ""
    parts.append(f"· {more}{_count(facts.uses, 'use')}{files}")
    told = [_code(facts.signature, language), " ".join(parts)]
    if facts.doc:
        told.append(harmless(facts.doc))
    return "\n\n".join(told)


def _heading(subject: Subject, facts: Facts | None, language: str) -> str:
    """What the explanation is of, where the facts above do not say so."""
    if subject.kind is Kind.PROBLEM:
        return f"**{harmless(_line(subject.text))}**"
    if facts is not None or subject.kind in (Kind.SELECTION, Kind.NAME):
        return ""
    if subject.kind is Kind.KEY:
        name = subject.text.partition("\n")[0].replace("`", "")
        return f"**`{name}`**"
    return _code(subject.text, "regex" if subject.kind is Kind.REGEX else language)


def _code(code: str, language: str) -> str:
    ticks = max((len(run) for run in re.findall(r"`{3,}", code)), default=2) + 1
    return f"{'`' * ticks}{language}\n{code}\n{'`' * ticks}"


def _by(by: str) -> str:
    return f"*{by}*" if by else ""


def _line(text: str) -> str:
    return " ".join(text.split())


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
