"""Edits of the unit that follow from a model's answer, or the complaint about it.

The answer's definition replaces the unit in the file's own layout. Code that it did not mean to
change stays; code that it may not change is restored, or the answer is rejected.
"""

from __future__ import annotations

import re
import typing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from nearfield.features.code_actions import check, imports
from nearfield.features.code_actions.answer import ExtractedCode, definition, extracted
from nearfield.features.code_actions.hunks import applied, hunks
from nearfield.features.code_actions.keep import Rows, merged, rows_of
from nearfield.features.code_actions.layout import (
    Layout,
    docstring_rows,
    fixed_rows_of,
    is_indented_alike,
    layout_of,
)
from nearfield.features.code_actions.names import free_names
from nearfield.features.code_actions.prompts import listed
from nearfield.features.code_actions.proposal import ProposedEdit
from nearfield.files.lines import split_lines
from nearfield.syntax.definitions import DefinitionParts, Unit, dropped, named_scopes
from nearfield.syntax.languages import Language
from nearfield.syntax.parser import Parsed, parse
from nearfield.syntax.white_space import Format, White
from nearfield.types import Edit, Span

__all__ = ["UNCHANGED", "UNSOLVED", "Addition", "AnswerRejected", "Fitting"]

Addition = Literal["", "types", "code"]
"""The only change that an answer may make; "" for any."""

_OPEN_BLOCKS = frozenset({"php", "python", "ruby"})
"""Languages in which code can be put into a block as it is: names that a block declares are known
after it. Elsewhere a declaration has to move, and Go and Rust handle errors otherwise."""
MAX_STEP = 8
"""More blanks than this are not one step of indentation."""
UNCHANGED = "the code is the same as before"
UNSOLVED = "the problem is still there"


class AnswerRejected(Exception):
    """An answer that cannot become an edit; the text is for the model and the user."""


@dataclass(frozen=True)
class Fitting:
    """A unit of a text, into which answers are fitted. With `free` the signature may change, with
    `loose` comments and empty lines may. `format` is the file's, where its path tells more than its
    grammar. A `repair` may change default values, which are behaviour, and must change code, unless
    `layout` is what is wrong; of `problems` that lie in a default value, that must change. Of an
    answer that `adds` "types" the signature alone is taken. One that adds "code" must hold all that
    was there, in its order, where the language allows that. The methods parse, so call them off the
    event loop."""

    text: str
    parsed: Parsed | None
    unit: Unit
    free: bool = False
    loose: bool = False
    format: Format | None = None
    repair: bool = False
    layout: bool = False
    problems: tuple[Span, ...] = ()
    adds: Addition = ""

    @property
    def language(self) -> Language | None:
        """The language of the text, None for one without a grammar."""
        return self.parsed.language if self.parsed else None

    @cached_property
    def shown(self) -> str:
        """The unit as a model is shown it."""
        text = self.unit.text(self.text)
        fixed = fixed_rows_of(self.language, text)
        return self._layout.shown(text, self.unit.indent, fixed)

    @cached_property
    def form(self) -> DefinitionParts | None:
        """The unit, as shown, in its parts."""
        if self.language is None or not self.unit.name:
            return None
        found = definition(self.shown, self.language, self.unit.name)
        return found.form if found else None

    def changes(self, text: str) -> tuple[ProposedEdit, ...]:
        """Return the edits that the answer `text` means. Raises `AnswerRejected`."""
        answer = extracted(text, self.language, self.unit.name)
        if answer is None or not answer.code.strip():
            what = f"`{self.unit.name}`" if self.unit.name else "code"
            raise AnswerRejected(f"there is no {what} in a code block")
        if answer.broken:
            raise AnswerRejected(answer.broken)
        same = is_indented_alike(self.shown, answer.code)
        answer = self._in_form(answer, same)
        before = self.unit.text(self.text)
        after = self._placed(answer.code, same)
        if after == before:
            raise AnswerRejected(UNCHANGED)
        if check.is_elided(before, after):
            raise AnswerRejected("a remark stands for code that was left out")
        start = self.unit.span.start
        own = [
            ProposedEdit(Edit(Span(start + e.span.start, start + e.span.end), e.text))
            for e in hunks(before, after)
        ]
        beyond = [ProposedEdit(edit, confirm=True) for edit in self._beyond(answer)]
        found = sorted((*beyond, *own), key=lambda c: (c.edit.span.start, not c.confirm))
        self._check(found, after)
        return tuple(found)

    @cached_property
    def _layout(self) -> Layout:
        layout = layout_of(self.text, self.language, self.format)
        own = _first_step(self.unit)
        if layout.white in (White.TABS, White.SPACES):
            return layout
        return replace(layout, step=own) if own and "\t" not in layout.step else layout

    def _in_form(self, answer: ExtractedCode, same: bool) -> ExtractedCode:
        """Return the answer from column 0, with what it may not change restored. Raises
        `AnswerRejected`."""
        if self.language is None or answer.form is None or self.form is None:
            return answer
        fixed = fixed_rows_of(self.language, answer.code)
        flat = replace(self._layout, step="    ")
        code = "\n".join(flat.placed(answer.code, "", fixed, copied=same))
        found = definition(code, self.language, self.unit.name)
        form = answer.form if found is None or found.form is None else found.form
        own = self.form
        if self.adds == "types":
            return self._typed(answer, form, own)
        lead = form.lead if self.free and form.lead.strip() else own.lead
        head = form.head
        if form.signature != own.signature and not self.free:
            if form.parameters != own.parameters:
                head_line = re.sub(r"\s+", " ", own.head).strip()
                raise AnswerRejected(f"it must begin with `{head_line}`")
            # The same parameters written in another way: as they were, but for a repair's values.
            blank = form.head[len(form.head.rstrip()) :]
            kept = own.head_with_defaults_of(form) if self.repair else own.head
            head = kept.rstrip() + (blank if own.body else "")
        whole = DefinitionParts(lead, head, form.body, own.tail, form.parameters)
        return replace(answer, code=whole.text, form=whole)

    def _typed(
        self, answer: ExtractedCode, form: DefinitionParts, own: DefinitionParts
    ) -> ExtractedCode:
        """Return the unit with the types of the answer's signature and nothing else of it. Raises
        `AnswerRejected`."""
        given, held = ([re.sub(r"\s+", "", one) for one in _values(f)] for f in (form, own))
        if form.parameters != own.parameters or given != held:
            raise AnswerRejected("parameters and default values must stay as they are")
        blank = own.head[len(own.head.rstrip()) :]
        whole = replace(own, head=form.head.rstrip() + blank)
        bindings = ()
        if self.language is not None and self.language.name == "python":
            bindings = self._imports_of_types(answer, f"{whole.head.rstrip()} ...")
        return replace(answer, code=whole.text, form=whole, others=(), imports=bindings)

    def _imports_of_types(self, answer: ExtractedCode, stub: str) -> tuple[str, ...]:
        """Return the imports of the names in a Python signature that the file does not know.
        Raises `AnswerRejected` for a name that is of no known module."""
        module = f"{self.text}\n\n{stub}\n"
        found = list(imports.needed(answer.imports, stub, self.text))
        lacking = free_names("\n".join([*found, stub]))
        lacking = [one for one in lacking if one in free_names(module)]
        found += [f"from typing import {one}" for one in lacking if one in typing.__all__]
        if unknown := [one for one in lacking if one not in typing.__all__]:
            raise AnswerRejected(f"{listed(unknown)} is not defined")
        return tuple(found)

    def _placed(self, code: str, same: bool) -> str:
        """Return the unit's new text in the file's layout, merged with the old one."""
        language, layout, unit = self.language, self._layout, self.unit
        fixed = fixed_rows_of(language, code)
        texts = [
            row + layout.newline for row in layout.placed(code, unit.indent, fixed, copied=same)
        ]
        was = split_lines(unit.text(self.text), keepends=True)
        if self.loose or language is None:
            before, after = (
                Rows(rows, [row.rstrip() or "\n" for row in rows]) for rows in (was, texts)
            )
        else:
            before, after = (
                rows_of(rows, language, docstring_rows(parse(language, text)))
                for rows, text in ((was, self.shown), (texts, code))
            )
        rows = merged(before, after)
        ended = [row if row.endswith(("\r", "\n")) else row + layout.newline for row in rows]
        return "".join(ended).rstrip("\r\n")

    def _beyond(self, answer: ExtractedCode) -> list[Edit]:
        if self.parsed is None:
            return []
        newline = self._layout.newline
        known = frozenset(name for name, _ in named_scopes(self.parsed))
        helpers = imports.companions(self.parsed, self.unit.span.start, answer, known, newline)
        code = answer.code + (helpers.text if helpers else "")
        wanted = list(answer.imports)
        if self.adds != "types":
            wanted = imports.needed(answer.imports, code, self.text)
        if self.parsed.language.name == "go":
            wanted = imports.go_packages(code, self.text)
        header = imports.import_edit(self.parsed, wanted, newline)
        return [edit for edit in (header, helpers) if edit is not None]

    def _check(self, changes: list[ProposedEdit], unit: str) -> None:
        """Check that the text with `changes`, which turn the unit into `unit`, parses as well as
        before and defines the same names. Raises `AnswerRejected`."""
        if self.parsed is None:
            return
        text = applied(self.text, [change.edit for change in changes])
        after = check.reparsed(self.parsed, text)
        if after is None or after.all_errors > self.parsed.all_errors:
            raise AnswerRejected(check.first_error(after))
        if check.empty_bodies(after) > check.empty_bodies(self.parsed):
            raise AnswerRejected("a definition has no body")
        python = self.parsed.language.name == "python"
        if python and check.is_ill_indented(unit, self.unit.indent):
            before = self.unit.text(self.text)
            if not check.is_ill_indented(before, self.unit.indent):
                raise AnswerRejected("its indentation is wrong")
        if gone := dropped(self.parsed, after, unit):
            raise AnswerRejected(f"the definition of {listed(gone)} is missing")
        if not self.free and (other := check.altered(self.parsed, after, defaults=not self.repair)):
            raise AnswerRejected(f"{listed(other)} must be declared as before")
        is_open = self.parsed.language.name in _OPEN_BLOCKS
        if self.adds == "code" and is_open and not check.is_contained(self.parsed, after):
            raise AnswerRejected("the code that was there must stay as it is")
        if self.repair:
            self._check_repair(changes, self.parsed, after)

    def _check_repair(self, changes: list[ProposedEdit], before: Parsed, after: Parsed) -> None:
        """Check that something of the problem has changed. Raises `AnswerRejected`."""
        if not (self.loose or self.layout) and check.is_same_code(before, after):
            raise AnswerRejected(UNCHANGED)
        if before.errors(self.unit.span) and after.all_errors >= before.all_errors:
            raise AnswerRejected(check.first_error(after))
        form = self.unit.form
        head = self.unit.span.start + len(form.lead) if form else 0
        edits = [change.edit.span for change in changes]
        for default in form.defaults if form else ():
            value = Span(head + default.value.start, head + default.value.end)
            is_wrong = any(value.start <= one.start < value.end for one in self.problems)
            touched = any(one.start <= value.end and value.start <= one.end for one in edits)
            if is_wrong and not touched:
                raise AnswerRejected(UNSOLVED)


def _values(form: DefinitionParts) -> list[str]:
    """Return the default values of a definition."""
    return [form.head[one.value.start : one.value.end] for one in form.defaults]


def _first_step(unit: Unit) -> str:
    """Return the indentation of a definition's body, "" if unknown. Files mix steps, and the lines
    that stay have this one."""
    form = unit.form
    if form is None or not form.body:
        return ""
    row = form.head.rpartition("\n")[2] if form.body[0] != "{" else ""
    if form.body[0] == "{":
        rows = [one for one in split_lines(form.body)[1:-1] if one.strip()]
        row = rows[0] if rows else ""
    blank = row[: len(row) - len(row.lstrip())].removeprefix(unit.indent)
    return blank if 0 < len(blank) <= MAX_STEP and "\t" not in blank else ""
