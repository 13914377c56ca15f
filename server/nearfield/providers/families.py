"""Choose the FIM template of a model on another server by its name, and write raw prompts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nearfield.catalog.templates import fim_names, fim_template
from nearfield.errors import ConfigError
from nearfield.types import EditForm, FimTemplate, Segment

_FAMILIES = (
    (re.compile(r"qwen.*coder", re.IGNORECASE), "qwen"),
    (re.compile(r"sweep.*next.?edit", re.IGNORECASE), "qwen"),
    (re.compile(r"deepseek.?coder", re.IGNORECASE), "deepseek-coder"),
    (re.compile(r"code.?llama(?!.*(34b|70b))", re.IGNORECASE), "codellama"),
    (re.compile(r"starcoder.?2", re.IGNORECASE), "starcoder2"),
    (re.compile(r"granite.*code|starcoder|refact", re.IGNORECASE), "granite-code"),
    (re.compile(r"granite.?4", re.IGNORECASE), "granite-4"),
    (re.compile(r"codegemma", re.IGNORECASE), "codegemma"),
    (re.compile(r"codestral", re.IGNORECASE), "codestral"),
    (re.compile(r"mellum", re.IGNORECASE), "mellum"),
    (re.compile(r"seed.?coder", re.IGNORECASE), "seed-coder"),
)
"""The family of a model by its name, first match first; a name says "code llama" in many ways."""


def template_of(name: str, model: str, chosen: str = "") -> FimTemplate | None:
    """The template named `chosen`, else the one of the family that `model` names, else None.
    Raises `ConfigError` for an unknown `chosen`; `name` is the provider's."""
    if chosen:
        if chosen not in fim_names():
            raise ConfigError(
                f"The provider {name} names an unknown fim_template: {chosen}.",
                f"It may be one of: {', '.join(fim_names())}.",
            )
        return fim_template(chosen)
    for pattern, family in _FAMILIES:
        if pattern.search(model):
            return fim_template(family)
    return None


_EDIT_FAMILIES = (
    (re.compile(r"sweep.*next-?edit", re.IGNORECASE), EditForm.SWEEP),
    (re.compile(r"zeta[-_]?2\.1", re.IGNORECASE), EditForm.ZETA2_1),
    (re.compile(r"zeta[-_]?2", re.IGNORECASE), EditForm.ZETA2),
    (re.compile(r"mercury-(edit|coder)", re.IGNORECASE), EditForm.MERCURY),
)


def edit_form_of(name: str, model: str, chosen: str = "") -> EditForm:
    """Return the edit form named `chosen`, or the one of the family that `model` names, or `NONE`.
    Raises `ConfigError` for an unknown `chosen`; `name` is the provider's."""
    if chosen == "none":
        return EditForm.NONE
    if chosen:
        try:
            return EditForm(chosen)
        except ValueError:
            known = ", ".join(["none", *filter(None, EditForm)])
            raise ConfigError(
                f"The provider {name} names an unknown edit_form: {chosen}.",
                f"It may be one of: {known}.",
            ) from None
    return next((form for pattern, form in _EDIT_FAMILIES if pattern.search(model)), EditForm.NONE)


def raw_prompt(template: FimTemplate, segments: Sequence[Segment]) -> str:
    """The prompt as one string for a server that reads control tokens in all of it: a control text
    inside the document gets a blank after its first character, so that it stays text."""
    marks = {template.prefix, template.suffix, template.middle, template.file_sep}
    marks |= {template.repo_name, *template.end}
    marks.discard("")
    forged = re.compile("|".join(re.escape(m) for m in sorted(marks, key=len, reverse=True)))
    return "".join(
        s.text if s.special else forged.sub(lambda m: f"{m[0][0]} {m[0][1:]}", s.text)
        for s in segments
    )
