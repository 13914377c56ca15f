"""What gates show of a model's line at the openings of the typist's blocks, without a clock.

    python tests/bench/typist/openings.py FOLDER [--files N] [--part tune|test] [--known FOLDER]
        [--above CHARS] [--below CHARS]

As in gates.py, one evaluation tells what the model would write until it goes astray; the line above
stands behind the middle token, as in the product's prompts. The first token is the likeliest one
that keeps the indentation. Compared are thresholds for the line's first characters, which nothing
leads to, and for the mean.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import islice, product
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))

from files import sources
from gates import END, Count, Gate, Reader, Step, filled, said
from script import Script

from nearfield.catalog.models import Catalog

ABOVE_CHARS, BELOW_CHARS = 830, 300
"""The text around an opening that the model is shown beside the line above it: 350 tokens."""
MOST_CHARS = 160
"""Characters of a block that are evaluated."""
FIRST = (-0.3, -0.6, -1.0, -2.0)
MEANS = (-0.6, -0.45)
IMPOSSIBLE = -9.0


def openings(
    reader: Reader, script: Script, above: int, below: int
) -> Iterator[tuple[str, list[Step]]]:
    """Yield the text of each block and its first tokens; earlier blocks are written by then.
    `above` and `below` are the characters that the model is shown."""
    whole, spans = filled(script)
    for start, end in spans:
        lead = whole.rfind("\n", 0, max(0, whole.rfind("\n", 0, start))) + 1
        head = reader.head(whole[max(0, lead - above) : lead], whole[end : end + below])
        yield whole[start:end], _steps(reader, head, whole[lead:start], whole[start:end])


def _steps(reader: Reader, head: list[int], indent: str, block: str) -> list[Step]:
    tokenize, pieces = reader.model.tokenize, reader.model.pieces
    tokens = tokenize(indent + block[:MOST_CHARS])
    ends, steps = reader.model.ends("infill"), list[Step]()
    at = 0
    for token, ids, sure in zip(tokens, *reader.known(head, tokens), strict=True):
        true, missing = pieces[token].decode("utf-8", "replace"), indent[at:]
        at += len(true)
        if at <= len(indent):
            continue
        likeliest, logprob = END, IMPOSSIBLE
        for other, its_logprob in zip(ids, sure, strict=True):
            text = END if int(other) in ends else pieces[int(other)].decode("utf-8", "replace")
            if text != missing and text.startswith(missing):
                likeliest, logprob = text, float(its_logprob)
                break
        offset = at - len(true) + len(missing) - len(indent)
        steps.append(Step(offset, true[len(missing) :], likeliest[len(missing) :], logprob))
    return steps


def report(blocks: Sequence[tuple[str, list[Step]]]) -> None:
    """Print what each pair of thresholds comes to."""
    print(f"{len(blocks)} openings")
    for first, mean in product(FIRST, MEANS):
        count, gate = Count(), Gate(part=4, whole=3, token=-0.3, mean=mean, first=first)
        for text, steps in blocks:
            if shown := said(steps, gate):
                count.add(shown, text)
        print(
            f"first {first:4} mean {mean:5} shown {count.shown:3} used {count.used:3}"
            f" wrong {count.wrong:3} keys saved {count.saved}"
        )


def main() -> None:
    """Evaluate the blocks and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--part", choices=("tune", "test"), default="tune")
    parser.add_argument("--above", type=int, default=ABOVE_CHARS, metavar="CHARS")
    parser.add_argument("--below", type=int, default=BELOW_CHARS, metavar="CHARS")
    parser.add_argument("--known", type=Path, default=Path("foretold"))
    chosen = parser.parse_args()
    catalog = Catalog.load()
    model = catalog.local_path(catalog.default)
    assert model is not None, "needs the model"
    reader, blocks = Reader(model, chosen.known), list[tuple[str, list[Step]]]()
    for source in islice(sources(chosen.folder, chosen.part, 1), chosen.files):
        script = source.script(1)
        assert script is not None
        blocks.extend(openings(reader, script, chosen.above, chosen.below))
    report(blocks)


if __name__ == "__main__":
    main()
