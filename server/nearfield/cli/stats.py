"""`nearfield stats`: how suggestions fare, what was spent, what this machine did for nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield.cli.moments import since
from nearfield.cli.output import print_json
from nearfield.cli.table import Kind, print_table
from nearfield.routing.money import dollars

if TYPE_CHECKING:
    from nearfield.config.schema import Budget
    from nearfield.features.metrics.store import RatingCount
    from nearfield.features.metrics.summary import CompletionStatistics, NextEditStatistics
    from nearfield.routing.used import ModelUse, UsedModel

RATED: Mapping[str, Kind] = {"rated": "name", "model": "name", "good": "number", "bad": "number"}
USED: Mapping[str, Kind] = {
    "provider": "name",
    "model": "name",
    "where": "name",
    "requests": "number",
    "read": "number",
    "written": "number",
    "price": "number",
}


def stats(
    from_when: Annotated[str, typer.Option("--since", help='Not before: "7d" or a date.')] = "30d",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print how suggestions fare, what each model did, what was spent and what local models
    saved."""
    from nearfield.cli.output import fail
    from nearfield.config.load import load
    from nearfield.features.metrics.store import RecordStore, RecordUnusable
    from nearfield.features.metrics.summary import next_edit_summary, summary
    from nearfield.routing import money
    from nearfield.routing.ledger import EntryFilter
    from nearfield.routing.store import Store
    from nearfield.routing.used import used

    start = since(from_when)
    budget = load(Path.cwd()).config.budget
    store = Store()
    standing = money.standing(store, time.time())
    found = used(
        store.entries(EntryFilter(since=start)),
        store.local_use(start),
        budget,
        standing.today.dollars,
        standing.month.dollars,
    )
    try:
        records = RecordStore()
        while records.settle():
            pass
        sums, ratings = records.sums(start), records.ratings(start)
    except RecordUnusable as error:
        fail(str(error), error.hint)
    completions, next_edits = summary(sums), next_edit_summary(sums)
    if as_json:
        more: dict[str, Any] = {
            "completions": asdict(completions),
            "next_edits": asdict(next_edits),
        }
        more["ratings"] = [asdict(one) for one in ratings]
        print_json({**asdict(found), **more})
    else:
        _print_completions(completions)
        _print_next_edits(next_edits)
        if ratings:
            print_table(RATED, map(_rated, ratings))
        _print(found, budget)


def _print_completions(found: CompletionStatistics) -> None:
    from nearfield.cli.console import Console

    console = Console(soft_wrap=True)
    if not found.questions:
        console.print("suggestions: none recorded yet")
        return
    console.print(
        f"suggestions: {found.offered} offered, {found.accepted} accepted,"
        f" {found.partly} partly ({_share(found.acceptance)})"
    )
    console.print(
        f"characters saved: {found.saved}, {_share(found.survived)} of them still there after"
        " half a minute"
    )
    read = found.evaluated + found.reused
    console.print(
        f"prompt tokens: {found.evaluated} evaluated, {found.reused} reused"
        f" ({_share(found.reused / read if read else None)})"
    )
    if found.silent:
        reasons = ", ".join(f"{count} {reason}" for reason, count in found.silent.items())
        console.print(f"without a suggestion: {reasons}")
    print_table(
        {"answered after": "name", "answers": "number", "p50 ms": "number", "p90 ms": "number"},
        (
            (
                line.situation.replace("_", " "),
                str(line.answers),
                f"{line.p50:.0f}",
                f"{line.p90:.0f}",
            )
            for line in found.latency
        ),
    )


def _print_next_edits(found: NextEditStatistics) -> None:
    from nearfield.cli.console import Console

    if not found.questions:
        return
    console = Console(soft_wrap=True)
    console.print(f"next edits: a model was asked {found.questions} times, {found.offered} offered")
    if found.silent:
        reasons = ", ".join(f"{count} {reason}" for reason, count in found.silent.items())
        console.print(f"without an offer: {reasons}")
    if found.stages:
        print_table(
            {"stage": "name", "p50 ms": "number", "p90 ms": "number", "p99 ms": "number"},
            (
                (one.stage, f"{one.p50:.0f}", f"{one.p90:.0f}", f"{one.p99:.0f}")
                for one in found.stages
            ),
        )


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.0%}"


def _print(found: ModelUse, budget: Budget) -> None:
    from nearfield.cli.console import Console

    console = Console(soft_wrap=True)
    if found.lines:
        print_table(USED, map(_row, found.lines))
    unknown = f", and {found.spent_unknown} requests of unknown price" * bool(found.spent_unknown)
    console.print(f"spent: {dollars(found.spent)}{unknown}")
    console.print(f"today: {dollars(found.today)}{_limits(budget.daily_soft, budget.daily_hard)}")
    month = _limits(budget.monthly_soft, budget.monthly_hard)
    console.print(f"this month: {dollars(found.month)}{month}")
    console.print(f"saved by local models: {dollars(found.saved)} at {budget.compare_with}'s price")
    share = "nothing asked yet" if found.share_local is None else f"{found.share_local:.0%}"
    console.print(f"answered on this machine: {share}")


def _rated(one: RatingCount) -> tuple[str, ...]:
    return one.kind, one.model, str(one.good), str(one.bad)


def _row(line: UsedModel) -> tuple[str, ...]:
    price = "free" if line.local else dollars(line.price)
    return (
        line.provider,
        line.model,
        "here" if line.local else "outside",
        str(line.requests),
        str(line.tokens_in),
        str(line.tokens_out),
        price + (f" + {line.unknown} unknown" if line.unknown else ""),
    )


def _limits(soft: float, hard: float) -> str:
    said = [
        f"{name} limit ${amount:g}" for name, amount in (("soft", soft), ("hard", hard)) if amount
    ]
    return f" ({', '.join(said)})" if said else ""
