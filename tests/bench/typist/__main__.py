"""Keys that a typist presses: real code, at a person's pace, who never waits.

    python tests/bench/typist FOLDER [--who NAME]... [--files N] [--seed N] [--part tune|test]
        [--clock simulated|wall] [--state cold|warm] [--rows FILE] [--notes FILE] [--server PATH]

FOLDER holds published packages, a folder NAME-VERSION each, with code that appeared after the
models were trained. The figures of RESULTS.md are of these projects of 2025 and later, in their
newest versions of November 2026:

    PyPI, wheels   a2a-sdk 1.3.0, claude-agent-sdk 0.2.189, openai-agents 0.24.0: *.py, *.md, *.toml
    npm            @ai-sdk/mcp 2.0.99, @tanstack/ai 0.58.0, @tanstack/db 0.15.2, without dist/: as
                   ai-sdk-mcp, tanstack-ai and tanstack-db
    crates.io      agent-client-protocol 5.2.0, facet-reflect 0.50.0-rc.7, rmcp 3.11.0
    Go modules     github.com/a2aproject/a2a-go v0.3.3, github.com/charmbracelet/fang v1.0.0,
                   github.com/modelcontextprotocol/go-sdk v1.8.0: the last name, without the v

`pip download --no-deps`, `npm pack`, `cargo vendor` and `go mod download` fetch them. The same
person writes the same blocks with each of those who are compared; counted are the keys, those of
mending and of slips as well, against the keys without any tool.

On the wall clock the product is driven through LSP and the peer through llama.cpp's server, on a
machine that must be quiet. On the simulated clock the service and the engine's scheduler run in
this process, tokens are the model's, and time passes as the engine's steps would take it alone, at
the speed given: counts are the same on any machine and under any load. There the index is off, as
it is another process, and no milliseconds of keys are told.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))

from variants import PEERS, VARIANTS


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    everyone = [*VARIANTS, *PEERS]
    parser.add_argument("--who", action="append", choices=everyone)
    parser.add_argument("--model", default="", help="a catalogue name; the default one without it")
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=("tune", "test", "all"), default="tune")
    parser.add_argument("--clock", choices=("simulated", "wall"), default="simulated")
    parser.add_argument("--state", choices=("cold", "warm"), default="cold")
    parser.add_argument("--rows", type=Path, help="a file to add to, and to go on with")
    parser.add_argument("--notes", type=Path, help="a file for each suggestion that was seen")
    parser.add_argument("--known", type=Path, default=Path(tempfile.gettempdir()) / "oracle.db")
    parser.add_argument("--threads", type=int, default=0, help="of the simulated model's oracle")
    parser.add_argument("--truth", type=float, help="a stand-in that knows this share of the lines")
    parser.add_argument("--speed", type=float, default=1.0, help="of the simulated machine")
    parser.add_argument("--only", default="", help="only files whose name has this in it")
    parser.add_argument("--server", default="", help="llama.cpp's server; else the wheel's")
    chosen = parser.parse_args()
    chosen.who = chosen.who or ["ours"]
    factory = None
    if chosen.clock == "simulated":
        from simulated_clock import Loop

        factory = Loop
    # Only now, as modules keep the clock that they find.
    from bench import bench

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(bench(chosen))


if __name__ == "__main__":
    main()
