"""`make demo`: completions by a model on this machine, through a real language server.

Starts `nearfield serve` as an editor would, opens a small workspace, types in it and shows what an
editor would show. `--svg FILE` keeps a picture of it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from editor import Document, Editor, Shown
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from nearfield.cli.console import Console
from nearfield.cli.editors import steps
from nearfield.cli.ghost import ghost_text
from nearfield.config.load import load
from nearfield.features.doctor.checks import engine
from nearfield.terminal import guard
from nearfield.types import Span

WORKSPACE = Path(__file__).parent / "workspace"
WIDTH = 96
CACHED = "cached"
SETTINGS = {
    "completion": {"enabled": True, "deadline_ms": 5000},
    "routing": {"strategy": "local_only"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A cursor: in `file` the text `hole`, which follows `before`, is taken out, and the cursor is
    put there."""

    file: str
    language: str
    what: str
    before: str
    hole: str


CASES = (
    Case(
        "inventory.py",
        "python",
        "end of a line",
        "        return sum(",
        "item.price * item.quantity for item in self.items.values())",
    ),
    Case(
        "inventory.py",
        "python",
        "middle of a line, text after it",
        "            self.items[",
        "item.name",
    ),
    Case(
        "cart.ts",
        "typescript",
        "empty body",
        "  remove(product: Product): void {\n    ",
        "this.lines = this.lines.filter((line) => line.product.id !== product.id);",
    ),
    Case(
        "queue.go",
        "go",
        "middle of a word",
        "	defer q.mu.Un",
        "lock()\n	q.jobs = append(q.jobs, job)",
    ),
    Case(
        "geometry.rs",
        "rust",
        "end of a line",
        "            Shape::Rectangle { width, height, .. } => 2.0 ",
        "* (width + height),",
    ),
)

# A method written at the end of `inventory.py`: what is typed before each pause.
TYPED = (
    (
        "new method",
        """
    def dearest(self) -> Item | None:
        \"\"\"The item with the highest price, None when there are none.\"\"\"
        """,
    ),
    ("typed on", "if n"),
    ("next line", "ot self.items:\n            return None\n        "),
    ("typed on", "retu"),
    ("typed something else", "rn sorted("),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary."""

    file: str
    what: str
    shown: Shown


class Demo:
    """The story, told on a console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.rows: list[Row] = []

    async def run(self) -> bool:
        """Tell it; False when no model can be had."""
        async with Editor(WORKSPACE, SETTINGS) as editor:
            if not await self._wait(editor):
                self.console.print(f"[red]No model:[/] {escape(editor.status['detail'])}")
                return False
            documents: dict[str, Document] = {}
            for case in CASES:
                if case.file not in documents:
                    documents[case.file] = editor.open(WORKSPACE / case.file, case.language)
                await self._show_case(editor, documents[case.file], case)
            await self._type_on(editor, documents[CASES[0].file])
        self._summary()
        return any(row.shown.text for row in self.rows)

    async def _wait(self, editor: Editor) -> bool:
        with self.console.status("Starting nearfield serve") as spinner:

            def tell(status: dict[str, Any]) -> None:
                share = f" {status['progress']:.0%}" if status["progress"] is not None else ""
                spinner.update(escape(f"Loading the model: {status['detail']}{share}"))

            ready = await editor.ready(tell)
        if ready:
            model = escape(editor.status["model"])
            self.console.print(
                f"[bold]nearfield serve[/] is running; [bold]{model}[/] answers, on this machine."
            )
            self._engine()
        return ready

    def _engine(self) -> None:
        """Say which engine runs, and which would be faster."""
        found = engine(load(WORKSPACE).config)
        said = f"Engine: {found.found}. {found.todo}".strip()
        self.console.print(f"[dim]{escape(said)}[/]")

    async def _show_case(self, editor: Editor, document: Document, case: Case) -> None:
        start = document.text.index(case.before + case.hole) + len(case.before)
        cursor = editor.edit(document, Span(start, start + len(case.hole)), "")
        await self._ask(editor, document, cursor, case.file, case.what, by_key=True)
        # The next cursor finds the file whole again.
        editor.edit(document, Span(start, cursor), case.hole)

    async def _ask(
        self,
        editor: Editor,
        document: Document,
        cursor: int,
        file: str,
        what: str,
        *,
        by_key: bool,
    ) -> None:
        with self.console.status(f"{file}: {what}"):
            shown = await editor.suggest(document, cursor, by_key=by_key)
        self.rows.append(Row(file, what, shown))
        self.console.print()
        self.console.print(Text.assemble((file, "bold"), f"  {what}"))
        self.console.print(_as_shown(document, cursor, shown))
        self.console.print(Text(f"    {_account(shown)}", style="green" if shown.text else "red"))

    async def _type_on(self, editor: Editor, document: Document) -> None:
        """Write a new method a few keys at a time, asking at each pause."""
        self.console.print()
        self.console.print(Rule("typing on", style="dim"))
        cursor = len(document.text)
        for what, keys in TYPED:
            cursor = editor.edit(document, Span(cursor, cursor), keys)
            await self._ask(editor, document, cursor, "inventory.py", what, by_key=False)

    def _summary(self) -> None:
        table = Table(title="What it took", title_justify="left", title_style="bold")
        for column in ("file", "cursor"):
            table.add_column(column)
        for column in ("ms", "evaluated", "reused", "generated"):
            table.add_column(column, justify="right")
        for row in self.rows:
            table.add_row(row.file, row.what, *_figures(row.shown))
        self.console.print()
        self.console.print(table)


def _as_shown(document: Document, cursor: int, shown: Shown) -> Text:
    return ghost_text(document.text, cursor, shown.text, shown.replace, language=document.language)


def _figures(shown: Shown) -> Iterator[str]:
    yield f"{shown.wait_ms:,.0f}"
    if shown.trace["situation"] == CACHED:
        yield from ("0", "", "0")
        return
    for name in ("evaluated_tokens", "reused_tokens", "generated_tokens"):
        value = shown.trace[name]
        yield "" if value is None else f"{value:,}"


def _account(shown: Shown) -> str:
    trace = shown.trace
    ms, evaluated, reused, generated = _figures(shown)
    cost = f"{ms} ms"
    if trace["situation"] == CACHED:
        cost += ", from the last answer: no model was asked"
    elif generated:
        cost += f", tokens: {evaluated} evaluated, {reused} reused, {generated} generated"
    return cost if shown.text else f"no suggestion ({trace['reason']}), {cost}"


NEXT = """
[bold]Next[/]: let your editor start it. The command is
  {command} serve
"""
NO_EDITOR = (
    "README.md has the few lines for VS Code, Neovim, Helix, Emacs, Zed, Sublime Text and Kate."
)
OTHER_EDITORS = "README.md has the lines for other editors, and what else each can do."
COMMANDS = """
  {command} setup              choose, fetch and measure models, and write the settings
  {command} doctor             what is installed, how fast it is, what to do
  {command} models recommend   which model suits this machine
"""


def tell_next(console: Console, command: Path) -> None:
    """What to do after the demo, with the lines for the editors that are here."""

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    say(NEXT.format(command=escape(str(command))).rstrip())
    found = steps(command)
    for step in found:
        say(f"\n[bold]{escape(step.name)}[/]: {escape(step.where)}")
        say(escape(textwrap.indent(step.lines, "  ")))
    say(f"\n{OTHER_EDITORS if found else NO_EDITOR}")
    say(COMMANDS.format(command=escape(str(command))).rstrip())


def main() -> int:
    """Run the demo; 0 when something was suggested."""
    guard()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--svg", type=Path, help="keep a picture of the demo in this file")
    arguments = parser.parse_args()
    console = Console(markup=True, record=arguments.svg is not None)
    if arguments.svg or not console.is_terminal:
        console.width = WIDTH
    try:
        done = asyncio.run(Demo(console).run())
    except TimeoutError:
        console.print("[red]The server did not answer.[/] Run `nearfield doctor`.")
        return 3
    if not done:
        return 3
    if arguments.svg:
        arguments.svg.write_text(console.export_svg(title="make demo"))
    command = Path(sys.executable).with_name("nearfield")
    tell_next(console, command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
