"""Whole editing sessions, keystroke by keystroke at a person's pace, against llama.vim's way.

    python tests/bench/replay [--language LANGUAGE]... [--only ours|peer|tuned]... [--json FILE]

The same sessions are played to `nearfield serve` in a client that behaves as VS Code does and to
llama.cpp's own server driven as llama.vim drives it, with the same model and threads. Counted are
the prompt tokens that had to be evaluated (a cached answer costs none), by the kind of place at
which the person was; timed is how long the person waited for the suggestion at the places where
they looked for one. What is evaluated while nobody waits is counted apart.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent))

from completer import Completer, Cost, Looked
from ours import Ours
from peer import AS_SHIPPED, TUNED, Peer
from sessions import Edit, Kind, Look, Move, Open, Pause, Session
from sources import SOURCES, Source, fetch

from nearfield.catalog.models import Catalog
from nearfield.engine.client import physical_cores

PACKAGES = Path(".venv/bench-sources")
SEED = 7
SETTLE_SECONDS = 6.0
"""What a person needs to find their place again after having come back to an editor."""

Account = tuple[list[Cost], list[Looked]]


def play(session: Session, completer: Completer, pace: float) -> list[Looked]:
    """Play `session`, then a second run in which the file is opened again."""
    looked: list[Looked] = []
    completer.start()
    for step in session.steps():
        match step:
            case Open(name):
                completer.open(name, session.text)
            case Move():
                time.sleep(pace)
            case Pause(seconds):
                time.sleep(seconds * pace)
            case Edit(kind, offset, removed, added):
                completer.edit(kind, session.text, offset, removed, added)
            case Look(kind, wanted):
                found = completer.look(kind, session.text, session.cursor)
                found.wanted = wanted
                session.shown = found.shown
                looked.append(found)
    time.sleep(SETTLE_SECONDS * pace)
    completer.start()
    completer.open(session.file, session.text)
    time.sleep(pace)
    looked.append(completer.look(Kind.RESTART, session.text, session.cursor))
    completer.close()
    return looked


def completers(
    language: str, files: dict[str, str], only: list[str], folder: Path
) -> Iterable[Completer]:
    """Who is measured."""
    catalog = Catalog.load()
    model = catalog.local_path(catalog.default)
    if model is None:
        raise SystemExit(f"needs the model {catalog.default}")
    workspace, home = folder / "workspace", folder / "home"
    workspace.mkdir()
    home.mkdir()
    for name, text in files.items():
        (workspace / name).write_text(text, encoding="utf-8")
    threads = physical_cores()
    if "ours" in only:
        yield Ours(workspace, home, language, {"engine": {"threads": threads}})
    for name, options in (("peer", AS_SHIPPED), ("tuned", TUNED)):
        if name in only:
            yield Peer(model, threads, _free_port(), options)


def measure(source: Source, only: list[str], pace: float) -> dict[str, Account]:
    """Play the session of `source` to each."""
    files = fetch(source, PACKAGES)
    found: dict[str, Account] = {}
    with tempfile.TemporaryDirectory() as folder:
        for completer in completers(source.language, files, only, Path(folder)):
            session = Session(source.language, source.language, files, SEED)
            looked = play(session, completer, pace)
            found[completer.name] = (completer.costs, looked)
            report(f"{source.language}: {completer.name}", found[completer.name])
            print(f"  taken whole {session.taken}, in part {session.parts}, keys {session.keys}")
    return found


def report(title: str, account: Account) -> None:
    """A table of one completer's costs."""
    costs, looked = account
    print(f"\n{title}")
    print("             looks evaluated generated  ms p50    max shown")
    for kind in [*Kind, None]:
        here = [look for look in looked if kind in (None, look.kind)]
        if not here:
            continue
        mine = [c for c in costs if kind in (None, c.kind) and not c.idle]
        times = [look.ms for look in here]
        print(
            f"  {kind or 'all':10} {len(here):5} {sum(c.evaluated for c in mine) / len(here):9.1f}"
            f" {sum(c.generated for c in mine) / len(here):9.1f} {statistics.median(times):7.0f}"
            f" {max(times):6.0f} {sum(bool(look.shown) for look in here):5}"
        )
    idle = [c for c in costs if c.idle]
    print(f"  while nobody waits: {sum(c.evaluated for c in idle)} tokens evaluated", flush=True)


def compare(accounts: dict[str, Account]) -> None:
    """Ratios of ours to each peer's."""
    ours, *peers = accounts
    for peer in peers:
        print(f"\nratio of {ours} to {peer}: tokens evaluated, time p50")
        for kind in [*Kind, None]:
            mine, theirs = (_figures(accounts[name], kind) for name in (ours, peer))
            if mine is None or theirs is None:
                continue
            ratios = [a / b if b else float("nan") for a, b in zip(mine, theirs, strict=True)]
            print(f"  {kind or 'all':10} {ratios[0]:6.3f} {ratios[1]:6.3f}")


def _figures(account: Account, kind: Kind | None) -> tuple[float, float] | None:
    costs, looked = account
    times = [look.ms for look in looked if kind in (None, look.kind)]
    if not times:
        return None
    evaluated = sum(c.evaluated for c in costs if kind in (None, c.kind) and not c.idle)
    return evaluated / len(times), statistics.median(times)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main() -> None:
    """Run and print."""
    languages = [source.language for source in SOURCES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--language", action="append", choices=languages)
    parser.add_argument("--only", action="append", choices=("ours", "peer", "tuned"))
    parser.add_argument("--pace", type=float, default=1.0, help="of a person: 0.5 is twice as fast")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    total: dict[str, Account] = {}
    for source in SOURCES:
        if source.language not in (options.language or languages):
            continue
        try:
            found = measure(source, options.only or ["ours", "peer", "tuned"], options.pace)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"\n{source.language}: not measured, its files could not be fetched ({error})")
            continue
        for name, (costs, looked) in found.items():
            account = total.setdefault(name, ([], []))
            account[0].extend(costs)
            account[1].extend(looked)
    for name, account in total.items():
        report(f"together: {name}", account)
    compare(total)
    if options.json:
        plain = {
            name: {"costs": [asdict(c) for c in costs], "looks": [asdict(x) for x in looked]}
            for name, (costs, looked) in total.items()
        }
        options.json.write_text(json.dumps(plain, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
