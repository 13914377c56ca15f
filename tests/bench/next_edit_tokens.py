"""Prompt tokens that a model has to evaluate at each next-edit question of a session of edits.

    python tests/bench/next_edit_tokens.py [REPOSITORY] [--files N] [--questions N] [--seed N]
        [--sequences N]

The changes of a file's last commits are made once more, line by line from top to bottom. Each file
is one open document, and a question is asked after each line. The prompts are the product's own,
for each form; the model keeps what it evaluated of the last prompts, as the engine does, and needs
only the rest. A provider that proposes nothing takes the questions; tokens are those of the default
model's tokenizer. Last, how many of the edits begin near the end of the last one: within some lines
below it, or two above.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise, zip_longest
from pathlib import Path

from next_edit_drafts import Vocabulary

from nearfield.catalog.models import Catalog
from nearfield.config.folders import FolderConfigs
from nearfield.config.schema import Config, ProviderSettings
from nearfield.engine.kv_cache import SequenceTable, goes_on
from nearfield.engine.scheduler import RETURN_TOKENS
from nearfield.features.next_edit.edit_model import EditModel
from nearfield.features.next_edit.hunk_history import HunkHistory
from nearfield.features.trace import TraceLog
from nearfield.providers.scripted import Scripted
from nearfield.routing.router import Router
from nearfield.types import Edit, EditForm, EditRequest, Snapshot, Span

REPOSITORY = Path(__file__).parents[2]
CONTEXT_TOKENS = 2048
"""Of one document in the engine with the usual settings."""
SECONDS = 20.0
"""Between two edits."""
MAX_LINES = 40
"""Changed lines of a commit in a file; more is a formatter's."""
SEQUENCES = 2
"""That the engine keeps for questions about one document, unless another number is given."""
ABOVE = 2


def git(repository: Path, *arguments: str) -> str:
    """Return the output of git."""
    ran = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, check=True
    )
    return ran.stdout.decode("utf-8", "replace")


def sessions(repository: Path, files: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Names of files with their versions, oldest first, of those that were changed most often."""
    counts: dict[str, int] = defaultdict(int)
    names = git(repository, "log", "--no-merges", "--diff-filter=M", "--name-only", "--format=")
    for name in names.split():
        counts[name] += name.endswith((".py", ".ts", ".lua", ".go", ".rs"))
    often = sorted((name for name in counts if counts[name] >= 6), key=lambda one: -counts[one])
    for name in random.Random(seed).sample(often, min(files, len(often))):
        commits = git(repository, "log", "--no-merges", "--format=%H", "-12", "--", name).split()
        found: list[str] = []
        for commit in reversed(commits):
            shown = subprocess.run(
                ["git", "-C", str(repository), "show", f"{commit}:{name}"], capture_output=True
            )
            if shown.returncode == 0:
                found.append(shown.stdout.decode("utf-8", "replace"))
        yield name, found


def edits(before: str, after: str) -> Iterator[Edit]:
    """The changes line by line from top to bottom, each of the text as those before it left it."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    changed = [code for code in codes if code[0] != "equal"]
    if sum(max(code[2] - code[1], code[4] - code[3]) for code in changed) > MAX_LINES:
        return
    for _, i1, i2, j1, j2 in changed:
        start = sum(map(len, new[:j1]))
        for put, gone in zip_longest(new[j1:j2], old[i1:i2], fillvalue=""):
            yield Edit(Span(start, start + len(gone)), put)
            start += len(put)


@dataclass(slots=True)
class Totals:
    """Prompt tokens, those evaluated, and the questions that share no more than their first tokens
    with an earlier one."""

    questions: int = 0
    anew: int = 0
    prompt: int = 0
    evaluated: int = 0


async def asked(form: EditForm, name: str, versions: list[str], most: int) -> list[EditRequest]:
    """The questions of a session, in their order."""
    model = Scripted(
        "bench",
        ProviderSettings(
            kind="scripted",
            options={
                "answers": [{"match": "", "text": "NO_EDITS"}],
                "edit_form": form.value,
                "context_tokens": CONTEXT_TOKENS,
            },
        ),
    )
    config, recent = FolderConfigs(Config()), HunkHistory()
    edit_model = EditModel(recent, TraceLog())
    edit_model.configure(config, Router(config, {"bench": model}))
    now = Snapshot(f"file:///{name}", "python", 0, versions[0], f"/{name}")
    at = 0.0
    for after in versions[1:]:
        if not list(edits(now.text, after)):
            now = Snapshot(now.uri, now.language, (now.version or 0) + 1, after, now.path)
            recent.forget(now.uri)
            continue
        for edit in edits(now.text, after):
            text = now.text[: edit.span.start] + edit.text + now.text[edit.span.end :]
            before = now
            now = Snapshot(now.uri, now.language, (now.version or 0) + 1, text, now.path)
            at += SECONDS
            recent.change(before, now, [edit], at)
            cursor = edit.span.start + len(edit.text.removesuffix("\n"))
            await edit_model.ask(now, cursor, None, is_wanted=False)
            if len(model.calls) >= most:
                break
    return [call.request for call in model.calls if isinstance(call.request, EditRequest)][:most]


def distances(versions: list[str]) -> Iterator[int]:
    """The rows from the end of each edit to the beginning of the next one of the same commit."""
    for before, after in pairwise(versions):
        text, last = before, None
        for edit in edits(before, after):
            row = text.count("\n", 0, edit.span.start)
            if last is not None:
                yield row - last
            text = text[: edit.span.start] + edit.text + text[edit.span.end :]
            last = row + edit.text.removesuffix("\n").count("\n")


def count(
    vocabulary: Vocabulary, requests: list[EditRequest], totals: Totals, sequences: int
) -> None:
    """Evaluate the prompts one after the other."""
    table = SequenceTable(sequences)
    for job, request in enumerate(requests):
        tokens = [
            token
            for segment in request.segments
            for token in vocabulary.tokens(segment.text, segment.special)
        ]
        choice = table.choose(tokens, request.document)
        assert choice is not None
        sequence, shared = choice
        if goes_on(shared, tokens) and sequence.whole - shared >= RETURN_TOKENS:
            # It is copied, since the user may come back.
            sequence = table.spare(request.document, sequence) or sequence
        table.take(sequence, job, request.document, shared)
        sequence.tokens[:] = tokens
        sequence.whole = len(tokens)
        table.release(job)
        totals.questions += 1
        totals.anew += not goes_on(shared, tokens)
        totals.prompt += len(tokens)
        totals.evaluated += len(tokens) - shared


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repository", nargs="?", type=Path, default=REPOSITORY)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--questions", type=int, default=25, help="of each file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sequences", type=int, default=SEQUENCES)
    options = parser.parse_args()
    catalog = Catalog.load()
    path = catalog.local_path(catalog.default)
    if path is None:
        raise SystemExit(f"needs the model {catalog.default}, for its tokenizer")
    vocabulary = Vocabulary(path)
    chosen = list(sessions(options.repository, options.files, options.seed))
    for form in EditForm:
        if not form:
            continue
        totals = Totals()
        for name, versions in chosen:
            requests = asyncio.run(asked(form, name, versions, options.questions))
            count(vocabulary, requests, totals, options.sequences)
        share = totals.evaluated / totals.prompt
        print(
            f"{form.value:14}{totals.questions:5} questions,"
            f" {totals.prompt / totals.questions:6.0f} tokens a prompt,"
            f" {totals.evaluated / totals.questions:6.0f} evaluated: {share:.2f},"
            f" {totals.anew / totals.questions:.2f} of the questions anew"
        )
    found = [rows for _, versions in chosen for rows in distances(versions)]
    for below in (5, 8, 10):
        near = sum(-ABOVE <= rows <= below for rows in found)
        print(f"{len(found)} edits, within {below} lines below: {near / len(found):.2f}")


if __name__ == "__main__":
    main()
