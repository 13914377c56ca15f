"""The result of an action that a command ran, and how it is printed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield.cli.output import emit, print_json, say
from nearfield.cli.patch import Patch
from nearfield.terminal import printable

if TYPE_CHECKING:
    from nearfield.cli.try_tests import RunOutcome


@dataclass(slots=True)
class ActionOutcome:
    """The result of an action: the new texts of files, and the model that wrote them. `refused` has
    a sentence for each place without a result."""

    texts: dict[Path, Patch] = field(default_factory=dict[Path, Patch])
    provider: str = ""
    model: str = ""
    wrong: str = ""
    prompt: str = ""
    refused: list[str] = field(default_factory=list[str])
    note: str = ""
    run: RunOutcome | None = None

    @property
    def notes(self) -> list[str]:
        """The sentences about the result as a whole."""
        wrong = f"this may be of no use ({self.wrong})." if self.wrong else ""
        return [note for note in (self.note, wrong) if note]


def print_outcome(
    outcome: ActionOutcome, changed: dict[Path, Patch], root: Path, as_json: bool, written: bool
) -> None:
    """Print the diffs of what was `changed`, and what there is to say."""
    from nearfield.features.code_actions.hunks import unified

    rows: list[dict[str, Any]] = []
    for path, patch in changed.items():
        shown = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        new = patch.before is None
        rows.append(
            {"path": str(path), "new": new,
             "diff": unified(patch.before or "", patch.after, shown, new)}
        )  # fmt: skip
    if as_json:
        print_json(
            {
                "files": rows,
                "written": written and bool(rows),
                "provider": outcome.provider,
                "model": outcome.model,
                "wrong": outcome.wrong,
                "refused": outcome.refused,
                "note": outcome.note,
                **({"run": asdict(outcome.run)} if outcome.run else {}),
            }
        )
        return
    for row in rows:
        emit(row["diff"], end="")
        if printable(row["diff"]) != row["diff"]:
            say("note: control characters are shown as symbols; --json has them as they are.")
    for sentence in (*outcome.refused, *outcome.notes):
        say(f"note: {sentence}")
    if outcome.run is not None:
        say(f"note: {outcome.run.words}")
    if written and rows:
        say(f"Written: {', '.join(str(path) for path in changed)}.")
