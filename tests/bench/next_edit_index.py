"""What a real index adds to the gate of next edits.

    python tests/bench/next_edit_index.py [FOLDER] [--show]

First the recorded answers of `next_edit_public.py`, each in a folder that has the scenario's file
as it was before the edits, with an index of that folder, all through the product's own code.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import next_edit_public as public

from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config, Index
from nearfield.features.documents import Documents
from nearfield.features.idle import Activity, IdleScheduler
from nearfield.features.next_edit.gate import EditProposal, Judged, judge
from nearfield.features.next_edit.project_names import objection
from nearfield.features.workspace_context.knowledge import Knowledge
from nearfield.syntax.parser import ParseCache
from nearfield.types import Snapshot

_ASKED: Counter[str] = Counter()
"""Answers about which the index has something to say."""


@asynccontextmanager
async def indexed(root: Path) -> AsyncGenerator[Knowledge]:
    """What the index of a folder knows, once it has all files."""
    configs = FolderConfigs(Config(index=Index(vectors=False)))
    activity = Activity(configs)
    trees, scheduler = ParseCache(), IdleScheduler()
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
    against = await objection(known, now, judged[-1].calls)
    if against is None:
        return result, ""
    return public.Result(scenario, None, str(against)), str(against)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=public.FOLDER)
    parser.add_argument("--show", action="store_true", help="what the index objects to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NEARFIELD_CACHE_DIR"] = cache
        for model, results in asyncio.run(recorded(options.folder, options.show)).items():
            print(f"{model:22} {public.summed(results)}")
        print(f"the index was asked about {_ASKED.total()} answers")


if __name__ == "__main__":
    main()
