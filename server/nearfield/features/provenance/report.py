"""The current lines of a file, and what suggested them. Everything here blocks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nearfield.features.provenance.chain import Fields
from nearfield.features.provenance.lines import FileLines
from nearfield.files.links import resolved
from nearfield.terminal import one_line

__all__ = ["FileReport", "SuggestedLines", "report", "trailers"]


class _Record(msgspec.Struct, frozen=True):
    """The fields of a record, as `features.provenance.write` writes them."""

    n: int
    at: float
    id: str
    kind: str
    file: str
    rows: tuple[int, int]
    lines: list[str]
    provider: str
    model: str
    model_sha256: str
    prompt: str


@dataclass(frozen=True, slots=True)
class SuggestedLines:
    """A record, as the current file has it. `lines` are those that are as they were suggested,
    counted from 1; `changed` and `gone` are counts. `at` is in seconds since the epoch."""

    record: int
    at: float
    kind: str
    provider: str
    model: str
    model_sha256: str
    prompt: str
    suggested: int
    lines: tuple[int, ...]
    changed: int
    gone: int

    @property
    def name(self) -> str:
        """The model with the SHA-256 of its file, or with its provider where that is not known."""
        if self.model_sha256:
            return f"{self.model}@sha256:{self.model_sha256}"
        return "/".join(one for one in (self.provider, self.model) if one)


@dataclass(frozen=True, slots=True)
class FileReport:
    """A file's records in the order of its lines; those of which no line is left come last."""

    file: str
    lines: int
    suggested: tuple[SuggestedLines, ...]

    @property
    def unchanged(self) -> int:
        """The count of lines that are as they were suggested."""
        return sum(len(one.lines) for one in self.suggested)


def report(path: Path, text: str, records: Sequence[Fields], secret: bytes) -> FileReport:
    """Find the lines of a file's records in its current text. A line that several records have
    belongs to the last of them."""
    # As it is named and where links lead: editors and commands differ in that.
    names = {os.path.normcase(one) for one in (path.absolute(), resolved(path))}
    last: dict[str, _Record] = {}
    for fields in records:
        if os.path.normcase(str(fields.get("file"))) not in names:
            continue
        with suppress(msgspec.ValidationError):  # an altered one, which `verify` names
            record = msgspec.convert(fields, _Record)
            last.pop(record.id, None)
            last[record.id] = record
    lines = FileLines(secret, text)
    found = [_suggested(record, lines) for record in reversed(last.values())]
    placed = sorted(found, key=lambda one: one.lines[:1] or (lines.count + 1,))
    return FileReport(str(path), lines.count, tuple(placed))


def _suggested(record: _Record, lines: FileLines) -> SuggestedLines:
    found = lines.take(record.lines, record.rows[0])
    return SuggestedLines(
        record=record.n,
        at=record.at,
        kind=record.kind,
        provider=record.provider,
        model=record.model,
        model_sha256=record.model_sha256,
        prompt=record.prompt,
        suggested=sum(map(bool, record.lines)),
        lines=tuple(row + 1 for row in found.unchanged),
        changed=found.changed,
        gone=found.gone,
    )


def trailers(reports: Sequence[tuple[FileReport, frozenset[int] | None]]) -> list[str]:
    """Return a trailer for each model with a line in the rows, counted from 0, of a report; None
    means every row. The model with the most lines comes first."""
    counts: dict[str, int] = {}
    for file, rows in reports:
        for one in file.suggested:
            lines = [line for line in one.lines if rows is None or line - 1 in rows]
            if one.model and lines:
                counts[one.name] = counts.get(one.name, 0) + len(lines)
    ordered = sorted(counts, key=lambda name: -counts[name])
    # A model may have the name of a file, which may hold a line end and a trailer of its own.
    return [f"Assisted-by: {one_line(name)}" for name in ordered]
