"""How much the gate for next edits depends on its constants and on the public scenarios' words.

    python tests/bench/next_edit_gate.py [FOLDER]

The recorded answers of `next_edit_public.py` pass the gate again with each of its constants set to
other values, with one scenario left out each, with the severest index there can be (it knows no
name that an answer brings in), and with every name of a scenario, its history and its answer
replaced by another one of the same form (its letters moved on by 13), which should change no
verdict.
"""

from __future__ import annotations

import argparse
import codecs
import keyword
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import next_edit_public as public

from nearfield.features.next_edit import gate
from nearfield.features.next_edit.edit_prompt import Hunk
from nearfield.features.next_edit.gate import EditProposal, Judged

MODELS = ("sweep-next-edit-1.5B", "zeta-2")
VALUES = {
    "MAX_REVERSAL": (0.4, 0.5, 0.7, 0.8),
    "MIN_KEPT": (0.3, 0.4, 0.6, 0.7),
    "NEAR_LINES": (0, 2, 3),
    "MAX_ADDED_LINES": (10, 40),
}
_NAME = re.compile(r"[A-Za-z_]\w*")
# The words of the forms' own marks, which are read in an answer.
_KEPT = frozenset(keyword.kwlist) | {
    "CURRENT", "UPDATED", "cursor", "user_cursor", "file_sep", "endoftext", "code_to_edit",
    "NO_EDITS", "range", "select", "defer", "chan", "map", "fn", "where", "dyn", "Self", "of",
    "typeof", "instanceof", "delete", "get", "set", "readonly", "goto", "fallthrough",
}  # fmt: skip

Answers = dict[tuple[str, str], tuple[str, str]]


def renamed(text: str) -> str:
    """The text with its names replaced."""

    def other(found: re.Match[str]) -> str:
        word = found[0]
        kept = word in _KEPT or word.lower() in gate._COMMON  # pyright: ignore[reportPrivateUsage]
        return word if kept else codecs.encode(word, "rot13")

    return _NAME.sub(other, text)


def renamed_scenario(one: public.Scenario) -> public.Scenario:
    """The scenario with its names replaced; what is expected too."""
    return replace(
        one,
        text=renamed(one.text),
        hunks=tuple(Hunk(hunk.path, renamed(hunk.old), renamed(hunk.new)) for hunk in one.hunks),
        expected=renamed(one.expected) if one.expected is not None else None,
    )


def results(folder: Path, answers: Answers, model: str, gated: bool = True) -> list[public.Result]:
    """What is shown of a model's answers."""
    return [
        public.replayed(model, scenario, *answers[scenario.name, model], gated)
        for scenario in public.scenarios(folder)
        if (scenario.name, model) in answers
    ]


def figures(found: Sequence[public.Result]) -> str:
    """The figures that the gate is for."""
    row = public.summed(found)
    return (
        f"score {row['score']:.3f}  quiet {row['quiet']:.2f}  of what is shown"
        f" {row['of what is shown']:.1f}"
    )


def by_constant(folder: Path, answers: Answers) -> Iterator[str]:
    """A line for each value of a constant and each model."""
    for name, values in VALUES.items():
        usual = getattr(gate, name)
        for value in (usual, *values):
            setattr(gate, name, value)
            for model in MODELS:
                yield f"{name} {value:<5} {model:22} {figures(results(folder, answers, model))}"
        setattr(gate, name, usual)


def left_out(folder: Path, answers: Answers) -> Iterator[str]:
    """The range of the figures with one scenario left out."""
    for model in MODELS:
        plain, gated = (results(folder, answers, model, gate) for gate in (False, True))
        rows = [
            (
                public.summed(gated[:at] + gated[at + 1 :]),
                public.summed(plain[:at] + plain[at + 1 :]),
            )
            for at in range(len(gated))
        ]
        for name in ("score", "quiet"):
            found = [one[name] for one, _ in rows]
            yield f"one left out  {model:22} {name} {min(found):.3f} to {max(found):.3f}"
        share = [one["of what is shown"] / other["of what is shown"] for one, other in rows]
        yield f"one left out  {model:22} quality kept {min(share):.3f} to {max(share):.3f}"


def with_the_severest_index(folder: Path, answers: Answers) -> Iterator[str]:
    """The figures if the index objected to all that it can object to; a real one is between."""

    def severe(proposal: EditProposal) -> Judged:
        found = gate.judge(proposal)
        return Judged(None, found.reasons) if found.calls else found

    for model in public.FORMS:
        yield f"severest index {model:22} {figures(results(folder, answers, model))} before"
        public.judge = severe
        yield f"severest index {model:22} {figures(results(folder, answers, model))}"
        public.judge = gate.judge


def with_other_names(folder: Path, answers: Answers) -> str:
    """How many verdicts, and texts, are the same with other names."""
    same = same_text = of = 0
    for model in public.FORMS:
        for one in public.scenarios(folder):
            if (one.name, model) not in answers:
                continue
            prompt, answer = answers[one.name, model]
            form = public.FORMS[model]
            before = public.replayed(model, one, prompt, answer, True)
            window = public.window_of(form, one, prompt)
            cursor = window.start + public.cursor_in(form, prompt)
            other = replace(renamed_scenario(one), cursor=cursor)
            question = public.EditQuestion(other.path, other.text, window, cursor, other.hunks)
            ours = public.render(form, question)
            said = (ours.prefill if ours is not None else "") + renamed(answer)
            new = public.read_answer(form, question, said)
            after = public.judged(other, window, new) if new is not None else None
            text = after.after if after is not None else None
            same += (text is None) == (before.after is None)
            same_text += text == (renamed(before.after) if before.after is not None else None)
            of += 1
    return f"other names: {same} of {of} verdicts are the same, {same_text} of the texts"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=public.FOLDER)
    options = parser.parse_args()
    answers = public.recorded(options.folder)
    for line in (
        *by_constant(options.folder, answers),
        *left_out(options.folder, answers),
        *with_the_severest_index(options.folder, answers),
        with_other_names(options.folder, answers),
    ):
        print(line)


if __name__ == "__main__":
    main()
