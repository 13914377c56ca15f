"""What a real index adds to the gate of next edits.

    python tests/bench/next_edit_index.py [FOLDER] [--repository DIR] [--commits N] [--show]

First the recorded answers of `next_edit_public.py`, each in a folder that has the scenario's file
as it was before the edits, with an index of that folder, all through the product's own code.

Then, in a repository, from which share of the files on a name connects nothing. Of each file of a
commit the first changes are made; the next one of the commit follows from them, and one that
another commit made in the same file does not. Both are proposed, and of those that the gate shows
for a name alone that they share with the recent edits it is counted how many would be hidden, for
each share; `git grep` in the source files replaces the index. Half A and B are every second commit.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import next_edit_public as public
from next_edit_replay import Revised, history
from next_edit_user import SUFFIXES

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config, Index
from nearfield.features.cursor import DocumentTrees
from nearfield.features.documents import Documents
from nearfield.features.idle import Activity, IdleScheduler
from nearfield.features.next_edit.edit_prompt import MAX_HUNKS, Hunk
from nearfield.features.next_edit.gate import EditProposal, Judged, judge
from nearfield.features.next_edit.project_names import objection
from nearfield.features.workspace_context import name_facts
from nearfield.features.workspace_context.knowledge import Knowledge
from nearfield.syntax.languages import language_for
from nearfield.syntax.parser import parse
from nearfield.types import Snapshot, Span

REPOSITORY = Path(__file__).parents[2]
_ASKED: Counter[str] = Counter()
"""Answers about which the index has something to say."""
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
MOST_EACH = 3
"""Steps of a file that are asked about, and changes of other commits that are proposed at each."""


@asynccontextmanager
async def indexed(root: Path) -> AsyncGenerator[Knowledge]:
    """What the index of a folder knows, once it has all files."""
    configs = FolderConfigs(Config(index=Index(vectors=False)))
    activity = Activity(configs)
    trees, scheduler = DocumentTrees(), IdleScheduler()
    known = Knowledge(configs, Documents(), trees.cursor, scheduler, activity, wait_seconds=0)
    known.folders([str(root)])
    running = asyncio.get_running_loop().create_task(known.run())
    try:
        while known.state.state != "ready":
            await asyncio.sleep(0.05)
        yield known
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await known.aclose()


# --- the recorded answers -------------------------------------------------------------------------


async def recorded(folder: Path, show: bool) -> dict[str, list[public.Result]]:
    """What is shown of each model's answers with the index of each scenario's file."""
    answers, found = public.recorded(folder), defaultdict[str, list[public.Result]](list)
    for scenario in public.scenarios(folder):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name).resolve()
            path = root / scenario.path
            path.parent.mkdir(parents=True, exist_ok=True)
            states = public._earlier(scenario)  # pyright: ignore[reportPrivateUsage]
            path.write_text(states[-1] if states else scenario.text, encoding="utf-8")
            now = Snapshot(path.as_uri(), scenario.language, 1, scenario.text, str(path), str(root))
            async with indexed(root) as known:
                assert known.has_all(now)
                assert await known.unknown(["no_such_name"], now)
                for model in public.FORMS:
                    if (scenario.name, model) in answers:
                        prompt, answer = answers[scenario.name, model]
                        result, why = await _replayed(known, now, model, scenario, prompt, answer)
                        found[model].append(result)
                        if show and why:
                            print(f"{scenario.name} {model}: {why}")
    return found


async def _replayed(
    known: Knowledge,
    now: Snapshot,
    model: str,
    scenario: public.Scenario,
    prompt: str,
    answer: str,
) -> tuple[public.Result, str]:
    """What is shown, and what the index objects to."""
    judged: list[Judged] = []

    def noted(proposal: EditProposal) -> Judged:
        judged.append(judge(proposal))
        return judged[-1]

    public.judge = noted
    try:
        result = public.replayed(model, scenario, prompt, answer, True)
    finally:
        public.judge = judge
    if result.after is None or not judged:
        return result, ""
    _ASKED["calls"] += bool(judged[-1].calls)
    _ASKED["shared names"] += bool(judged[-1].shared)
    against = await objection(known, now, judged[-1].calls, judged[-1].shared)
    if against is None:
        return result, ""
    return public.Result(scenario, None, str(against)), str(against)


# --- from which share on a name connects nothing --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """Lines `old` at `row` become `new`."""

    row: int
    old: tuple[str, ...]
    new: tuple[str, ...]


def steps(before: str, after: str) -> list[Step]:
    """The changes of a file from top to bottom, each at its row after those before it."""
    old, new = before.split("\n"), after.split("\n")
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [
        Step(j1, tuple(old[i1:i2]), tuple(new[j1:j2]))
        for tag, i1, i2, j1, j2 in codes
        if tag != "equal"
    ]


def made(lines: Sequence[str], step: Step) -> list[str]:
    """The lines after a step."""
    return [*lines[: step.row], *step.new, *lines[step.row + len(step.old) :]]


def elsewhere(lines: Sequence[str], others: Sequence[Step]) -> Iterator[Step]:
    """Changes of other commits that can be made in these lines."""
    for step in others:
        size = len(step.old)
        if not any(line.strip() for line in step.old):
            continue
        rows = [row for row in range(len(lines)) if tuple(lines[row : row + size]) == step.old]
        if len(rows) == 1:
            yield Step(rows[0], step.old, step.new)


def proposals(files: Sequence[Revised]) -> Iterator[tuple[str, bool, frozenset[str]]]:
    """What the gate shows for shared names alone: the commit, whether it follows from the recent
    edits, and the names."""
    by_place = defaultdict[str, list[Revised]](list)
    for one in files:
        by_place[one.name.partition(" ")[2]].append(one)
    for one in files:
        commit, _, place = one.name.partition(" ")
        others = [
            step
            for other in by_place[place]
            if other is not one
            for step in steps(other.before, other.after)
        ]
        lines, hunks = one.before.split("\n"), list[Hunk]()
        states = [one.before]
        for at, step in enumerate(steps(one.before, one.after)):
            if 0 < at <= MOST_EACH:
                meant = [(True, step)]
                wrong = [(False, other) for other in elsewhere(lines, others)][:MOST_EACH]
                for follows, proposed in (*meant, *wrong):
                    verdict = _judged(one.language, place, lines, proposed, hunks, states)
                    if verdict.edit is not None and verdict.shared:
                        yield commit, follows, verdict.shared
            lines = made(lines, step)
            hunks.append(Hunk(place, "\n".join(step.old), "\n".join(step.new), step.row + 1))
            states.append("\n".join(lines))


def _judged(
    name: str,
    place: str,
    lines: Sequence[str],
    step: Step,
    hunks: Sequence[Hunk],
    states: Sequence[str],
) -> Judged:
    text = "\n".join(lines)
    language = language_for(name, place)
    cursor = text.find(hunks[-1].new) if hunks[-1].new else 0
    return judge(
        EditProposal(
            text,
            Span(0, len(text)),
            max(cursor, 0),
            "\n".join(made(lines, step)),
            hunks[-MAX_HUNKS:],
            states[:-1],
            parse(language, text) if language is not None else None,
        )
    )


def by_share(repository: Path, commits: int) -> Iterator[str]:
    """A line for each half and share."""
    files = list(history(repository, commits))
    numbers = {commit: n for n, commit in enumerate({one.name.split()[0]: 0 for one in files})}
    counts = defaultdict[tuple[str, bool], Counter[float]](Counter)
    patterns = [f"*{suffix}" for suffix in SUFFIXES]
    total = len(_git(repository, "ls-files", "--", *patterns))
    known: dict[str, int] = {}
    for commit, follows, names in proposals(files):
        for name in names - known.keys():
            known[name] = len(_git(repository, "grep", "-lwF", "-e", name, "--", *patterns))
        found = counts["AB"[numbers[commit] % 2], follows]
        found[0.0] += 1
        for share in SHARES:
            least = max(name_facts.MIN_FILES, total * share)
            found[share] += all(known[name] >= least for name in names)
    return _lines(counts)


def _git(repository: Path, *arguments: str) -> list[str]:
    ran = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True)
    return ran.stdout.decode("utf-8", "replace").splitlines()


def _lines(counts: dict[tuple[str, bool], Counter[float]]) -> Iterator[str]:
    for half in "AB":
        right, wrong = counts[half, True], counts[half, False]
        yield f"half {half}: {right[0.0]} follow from the edits, {wrong[0.0]} do not; hidden are"
        for share in SHARES:
            yield f"   from {share:.2f} of the files on  {right[share]:4} {wrong[share]:4}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=public.FOLDER)
    parser.add_argument("--repository", type=Path, default=REPOSITORY)
    parser.add_argument("--commits", type=int, default=300, help="0: the recorded answers alone")
    parser.add_argument("--show", action="store_true", help="what the index objects to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NEARFIELD_CACHE_DIR"] = cache
        for model, results in asyncio.run(recorded(options.folder, options.show)).items():
            print(f"{model:22} {public.summed(results)}")
        print(f"the index was asked about {dict(_ASKED)}")
        if options.commits:
            for line in by_share(options.repository, options.commits):
                print(line)


if __name__ == "__main__":
    main()
