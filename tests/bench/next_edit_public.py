"""Next edits on public scenarios: what is shown, what is left alone, and how good it is.

    python tests/bench/next_edit_public.py [FOLDER] [--show] [--json] [--default]

FOLDER holds scenarios of cursortab.nvim (MIT) as `*.txtar`, and `recorded.jsonl.gz` with prompts
and raw answers of models; by default `../shared/bench/next_edit_scenarios`. A scenario is a
document, the edits before, the cursor, and the document that is expected, or none where nothing
should be offered.

The score is theirs: the mean delta chrF (character n-grams of the changed lines, n = 1 to 6, beta
2) times the harmonic mean of the share of scenarios in which something is shown and of those left
alone. Each recorded answer passes our own reading and gate; the prompt is compared with ours. "Half
A" and "half B" are every second scenario: the gate was tuned on A. With `--default` the default
model, which was not trained for this, is asked in Sweep's form and in ours, in the engine.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from nearfield.catalog.models import Catalog
from nearfield.config.folders import FolderConfigs
from nearfield.config.load import load
from nearfield.config.schema import Cache, Config, Engine, Index
from nearfield.engine.client import EngineClient
from nearfield.features.documents import difference
from nearfield.features.next_edit import edit_model
from nearfield.features.next_edit import edits as next_edits
from nearfield.features.next_edit.edit_prompt import EditQuestion, Hunk, read_answer, render
from nearfield.features.next_edit.gate import EditProposal, judge
from nearfield.features.next_edit.hunk_history import HunkHistory
from nearfield.features.service import Service
from nearfield.features.trace import TraceLog
from nearfield.providers.embedded import Embedded
from nearfield.routing.router import Router
from nearfield.syntax.differences import changed_span
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Edit, EditForm, Snapshot, Span

FOLDER = Path(__file__).parents[2].parent / "shared" / "bench" / "next_edit_scenarios"
MAX_ACCEPTED = 50
FORMS = {
    "sweep-next-edit-0.5B": EditForm.SWEEP,
    "sweep-next-edit-1.5B": EditForm.SWEEP,
    "sweep-next-edit-7B": EditForm.SWEEP,
    "zeta-2": EditForm.ZETA2,
    "mercuryapi": EditForm.MERCURY,
}
MARKS = {
    EditForm.ZETA2: ("<<<<<<< CURRENT\n", "\n=======\n", "<|user_cursor|>"),
    EditForm.MERCURY: ("<|code_to_edit|>\n", "\n<|/code_to_edit|>", "<|cursor|>"),
}
"""What is before and after the window of a prompt, and at the cursor in it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A document with its history; `expected` is None where nothing should be offered."""

    name: str
    language: str
    path: str
    text: str
    cursor: int
    hunks: tuple[Hunk, ...]
    expected: str | None
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one scenario: the text after what was shown, None where nothing was."""

    scenario: Scenario
    after: str | None
    why: str = ""
    same_prompt: bool | None = None


def scenarios(folder: Path) -> list[Scenario]:
    """All scenarios of a folder."""
    return [_scenario(path) for path in sorted(folder.glob("*.txtar"))]


def _scenario(path: Path) -> Scenario:
    head, *parts = re.split(r"(?m)^-- ([\w.]+) --\n", path.read_text(encoding="utf-8"))
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    fields = dict(re.findall(r"(?m)^([\w-]+): (.*)$", head))
    text = sections["buffer.txt"].removesuffix("\n")
    lines = text.split("\n")
    row, column = int(fields["row"]) - 1, int(fields["col"])
    cursor = sum(len(line) + 1 for line in lines[:row]) + min(column, len(lines[row]))
    hunks = tuple(
        # The document's own history, whatever the file is called there.
        Hunk(fields["file"], old.removesuffix("\n"), new.removesuffix("\n"))
        for old, new in re.findall(
            r"<\|file\|>[^\n]*\n<\|old\|>\n(.*?)<\|new\|>\n(.*?)(?=<\|file\|>|\Z)",
            sections.get("history", ""),
            re.DOTALL,
        )
    )
    expected = sections.get("expected")
    return Scenario(
        path.stem,
        fields["language"],
        fields["file"],
        text,
        cursor,
        hunks,
        expected.strip("\n") if expected is not None else None,
        tuple(fields.get("targets", "").split()),
    )


def recorded(folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Prompt and answer of the first question by (scenario, model)."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    with gzip.open(folder / "recorded.jsonl.gz", "rt", encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            if row["kind"] == "meta" or row.get("interaction") or row["target"] not in FORMS:
                continue
            body = json.loads(row["body"])
            text = _text_of(body if row["kind"] == "request" else body["choices"][0])
            found.setdefault((row["scenario"], row["target"]), {})[row["kind"]] = text
    return {key: (one["request"], one["response"]) for key, one in found.items() if len(one) == 2}


def _text_of(body: dict[str, Any]) -> str:
    if "messages" in body:
        return body["messages"][0]["content"]
    return body["message"]["content"] if "message" in body else body.get("prompt") or body["text"]


def window_of(form: EditForm, scenario: Scenario, prompt: str) -> Span:
    """The lines that a recorded prompt asks to rewrite."""
    if form is EditForm.SWEEP:
        found = re.search(r"current/[^\n]*:(\d+):(\d+)\n", prompt)
        assert found is not None
        lines = scenario.text.split("\n")
        first, last = int(found[1]) - 1, min(int(found[2]), len(lines))
        start = sum(len(line) + 1 for line in lines[:first])
        return Span(start, start + sum(len(line) + 1 for line in lines[first:last]) - 1)
    begin, end, cursor = MARKS[form]
    text = prompt.split(begin)[1].split(end)[0].replace(cursor, "")
    start = scenario.text.index(text)
    return Span(start, start + len(text))


def cursor_in(form: EditForm, prompt: str) -> int:
    """Where in its window a recorded prompt has the cursor; a scenario was asked at several places,
    and those where nothing is wanted were recorded for one."""
    if form is EditForm.SWEEP:
        return re.split(r"<\|file_sep\|>current/[^\n]*\n", prompt)[1].index("<|cursor|>")
    begin, _, cursor = MARKS[form]
    return prompt.split(begin)[1].index(cursor)


def replayed(model: str, scenario: Scenario, prompt: str, answer: str, gated: bool) -> Result:
    """What is shown of a recorded answer."""
    form = FORMS[model]
    window = window_of(form, scenario, prompt)
    scenario = replace(scenario, cursor=window.start + cursor_in(form, prompt))
    question = EditQuestion(scenario.path, scenario.text, window, scenario.cursor, scenario.hunks)
    ours = render(form, question)
    same = ours is not None and ours.text == prompt
    new = read_answer(form, question, (ours.prefill if ours is not None else "") + answer)
    if new is None:
        return Result(scenario, None, "nothing", same)
    if not gated:
        after = scenario.text[: window.start] + new + scenario.text[window.end :]
        return Result(scenario, after, "", same)
    return replace(judged(scenario, window, new), same_prompt=same)


def _earlier(scenario: Scenario) -> list[str]:
    """The texts before the last changes, the latest first, as far as these can be taken back."""
    states: list[str] = []
    text = scenario.text
    for hunk in reversed(scenario.hunks):
        if not hunk.new or hunk.new not in text:
            break
        text = text.replace(hunk.new, hunk.old, 1)
        states.append(text)
    return states


def judged(scenario: Scenario, window: Span, new: str) -> Result:
    """What the gate lets through of a window's new text."""
    text = scenario.text
    language = language_for(scenario.language, scenario.path)
    found = judge(
        EditProposal(
            text,
            window,
            scenario.cursor,
            new,
            scenario.hunks,
            _earlier(scenario),
            parse(language, text) if language is not None else None,
        )
    )
    why = " ".join(found.reasons)
    if found.edit is None:
        return Result(scenario, None, why)
    span = found.edit.span
    return Result(scenario, text[: span.start] + found.edit.text + text[span.end :], why)


async def by_rules(found: Sequence[Scenario]) -> list[Result]:
    """What is shown without a model, once the edits before were made in the document."""
    config: Config = msgspec.structs.replace(
        load(None).config, cache=Cache(enabled=False), index=Index(enabled=False)
    )
    service = Service(config, {})
    await service.start()
    try:
        return [await _by_rules(service, scenario) for scenario in found]
    finally:
        await service.aclose()


async def _by_rules(service: Service, scenario: Scenario) -> Result:
    earlier = _earlier(scenario)
    text = earlier[-1] if earlier else scenario.text
    uri = f"file:///{scenario.name}/{scenario.path}"
    now = Snapshot(uri, scenario.language, 0, text, f"/{scenario.name}/{scenario.path}")
    service.opened(now)
    for hunk in scenario.hunks[len(scenario.hunks) - len(earlier) :]:
        for edit in difference(now.text, now.text.replace(hunk.old, hunk.new, 1)):
            changed = now.text[: edit.span.start] + edit.text + now.text[edit.span.end :]
            before, now = now, replace(now, version=(now.version or 0) + 1, text=changed)
            service.changed(now, [edit])
            assert before is not now
    after: str | None = None
    for _ in range(MAX_ACCEPTED):
        found = await service.next_edits.offered(now, scenario.cursor)
        if not found:
            break
        edit = Edit(found[0].span, found[0].new)
        after = now.text[: edit.span.start] + edit.text + now.text[edit.span.end :]
        now = replace(now, version=(now.version or 0) + 1, text=after)
        service.changed(now, [edit])
    service.closed(uri)
    return Result(scenario, after)


async def by_default_model(found: Sequence[Scenario], form: EditForm) -> list[Result]:
    """The shown part of the default model's answers, asked as the product asks, without a limit."""
    catalog = Catalog.load()
    path = catalog.local_path(catalog.default)
    if path is None:
        raise SystemExit(f"needs the model {catalog.default}")
    edit_model.ASK_SECONDS = 600.0
    model = Embedded(EngineClient(Engine()), model="default", path=path, edit_form=form)
    config, traces = FolderConfigs(Config()), TraceLog()
    try:
        return [
            await _by_default_model(scenario, Router(config, {"embedded": model}), traces)
            for scenario in found
        ]
    finally:
        await model.aclose()


async def _by_default_model(scenario: Scenario, router: Router, traces: TraceLog) -> Result:
    recent = HunkHistory()
    asked = edit_model.EditModel(recent, traces)
    asked.configure(FolderConfigs(Config()), router)
    states = [*reversed(_earlier(scenario)), scenario.text]
    now = Snapshot(f"file:///{scenario.path}", scenario.language, 0, states[0])
    for at, text in enumerate(states[1:]):
        before, now = now, replace(now, version=(now.version or 0) + 1, text=text)
        recent.change(before, now, difference(before.text, text), 100.0 * at)
    language = language_for(scenario.language, scenario.path)
    parsed = parse(language, now.text) if language is not None else None
    edit = await asked.ask(now, scenario.cursor, parsed, is_wanted=False)
    (trace,) = traces.last(1) or (None,)
    why = f"{trace.reason} {trace.detail}".strip() if trace is not None else "not asked"
    if edit is None:
        return Result(scenario, None, why, True)
    return Result(
        scenario, now.text[: edit.span.start] + edit.text + now.text[edit.span.end :], why, True
    )


# --- their score ----------------------------------------------------------------------------------


def delta_chrf(before: str, after: str, expected: str) -> float:
    """chrF of the lines that `after` changes against those that `expected` does, 0 to 100."""
    made, wanted = (_delta(before.split("\n"), one.split("\n")) for one in (after, expected))
    values: list[float] = []
    for n in range(1, 7):
        a, b = (
            Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (made, wanted)
        )
        if not a and not b:
            continue
        match = sum((a & b).values())
        p, r = (match / sum(one.values()) if one else 0.0 for one in (a, b))
        values.append(5 * p * r / (4 * p + r) if p or r else 0.0)
    return 100 * sum(values) / len(values) if values else 100.0


def _delta(before: Sequence[str], after: Sequence[str]) -> str:
    span, length = changed_span(before, after)
    return "\n".join(after[span.start : span.start + length])


def summed(results: Sequence[Result]) -> dict[str, float]:
    """Their figures: score, delta chrF, and the shares shown and left alone."""
    wanted = [one for one in results if one.scenario.expected is not None]
    quiet = [one for one in results if one.scenario.expected is None]
    quality = [
        delta_chrf(one.scenario.text, one.after or one.scenario.text, one.scenario.expected or "")
        for one in wanted
    ]
    shown = [value for value, one in zip(quality, wanted, strict=True) if one.after is not None]
    share = len(shown) / len(wanted) if wanted else 0.0
    left = sum(one.after is None for one in quiet) / len(quiet) if quiet else 1.0
    mean = sum(quality) / len(quality) if quality else 0.0
    both = 2 * share * left / (share + left) if share + left else 0.0
    return {
        "score": round(mean * both / 100, 3),
        "delta chrF": round(mean, 1),
        "of what is shown": round(sum(shown) / len(shown), 1) if shown else 0.0,
        "shown": round(share, 2),
        "quiet": round(left, 2),
    }


def tables(folder: Path, show: bool, default: bool) -> Iterator[tuple[str, dict[str, float]]]:
    """The rules alone, then each model without and with the gate, on each half and on all."""
    next_edits.REST_SECONDS = 0.0
    yield "rules alone", summed(asyncio.run(by_rules(scenarios(folder))))
    answers = recorded(folder)
    for model in FORMS:
        for gated in (False, True):
            results = [
                replayed(model, scenario, *answers[scenario.name, model], gated)
                for scenario in scenarios(folder)
                if (scenario.name, model) in answers
            ]
            label = f"{model} {'gated' if gated else 'as it is'}"
            yield label, summed(results)
            if gated:
                yield f"{label}, half A", summed(results[::2])
                yield f"{label}, half B", summed(results[1::2])
            if show and gated:
                _show(results)
    for form in (EditForm.SWEEP, EditForm.INSTRUCT) if default else ():
        results = asyncio.run(by_default_model(scenarios(folder), form))
        yield f"the default model ({form}) gated", summed(results)
        if show:
            _show(results)


def _show(results: Sequence[Result]) -> None:
    """Print each scenario, and what became of it."""
    for one in results:
        expected = one.scenario.expected
        good = (
            round(delta_chrf(one.scenario.text, one.after, expected))
            if one.after is not None and expected is not None
            else "-"
        )
        mark = "quiet" if expected is None else "wanted"
        print(
            f"   {one.scenario.name:40} {mark:7}{good!s:>5}  {one.why}"
            f"{'' if one.same_prompt else '  (prompt differs)'}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--show", action="store_true", help="each scenario and what became of it")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--default", action="store_true", help="ask the default model, minutes")
    options = parser.parse_args()
    found = dict(tables(options.folder, options.show, options.default))
    if options.json:
        print(json.dumps(found))
        return
    for name, row in found.items():
        print(f"{name:40} {row}")


if __name__ == "__main__":
    main()
