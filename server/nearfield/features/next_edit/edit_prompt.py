"""Prompts for models that were trained to predict the next edit, and the reading of their answers.

A form is data: what `FORMS` has under a name of the catalogue's `edit_form`. Text of a document is
never parsed as a control token, and a question whose text holds one of the form's own markers is
not asked. Where a form has an author, a prompt is what the author's own client writes.

A model rewrites a window of whole lines; `read_answer` returns the window's new text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from nearfield.files.lines import line_end, line_start, next_line, previous_line, split_lines
from nearfield.types import EditForm, Segment, Snippet, Span

__all__ = [
    "FORMS",
    "EditPrompt",
    "EditQuestion",
    "FormSpec",
    "Hunk",
    "block_starts",
    "excerpt_of",
    "read_answer",
    "render",
    "window_around",
]

MAX_HUNKS = 6
"""Recent changes in a prompt; Sweep's and Zed's clients show as many."""
BYTES_PER_TOKEN = 3
"""Zed's estimate for code; sizes below are the authors' tokens by it."""
WHOLE_FILE_LINES = 800
EXCERPT_LINES, EXCERPT_STRIDE = 300, 150
"""Excerpt of a longer file: Sweep's client shows 300 lines that begin at a multiple of 150, so that
typing rarely changes the beginning of the prompt.
"""
MAX_CONTEXT_CHARS = 9_000
"""Characters of the file around the window in forms that write it there: 3,000 of Zed's 4,096
tokens.
"""
MAX_CUT_SHIFT = 5
"""Lines that the end of a block may move, up to one that begins a definition."""
NO_EDITS = "NO_EDITS"


@dataclass(frozen=True, slots=True)
class Hunk:
    """A recent change: whole lines `old` of `path` became `new`; `row` is the first one, from 1."""

    path: str
    old: str
    new: str
    row: int = 1


@dataclass(frozen=True, slots=True)
class EditQuestion:
    """The content of a prompt. `window` is a span of whole lines of `text` without the last
    line break; `cursor` is in it. `hunks` are oldest first. `before` is the text without them."""

    path: str
    text: str
    window: Span
    cursor: int
    hunks: tuple[Hunk, ...] = ()
    before: str = ""
    others: tuple[Snippet, ...] = ()

    @property
    def old(self) -> str:
        """The window's text."""
        return self.text[self.window.start : self.window.end]

    def marked(self, marker: str) -> str:
        """The window's text with `marker` at the cursor."""
        return (
            self.text[self.window.start : self.cursor]
            + marker
            + self.text[self.cursor : self.window.end]
        )


@dataclass(frozen=True, slots=True)
class EditPrompt:
    """A rendered question. The answer continues `prefill`, which is the prompt's end, and stops at
    one of `stop`. `is_chat`: the text is one user message, not a raw prompt."""

    segments: tuple[Segment, ...]
    stop: tuple[str, ...]
    prefill: str = ""
    is_chat: bool = False

    @property
    def text(self) -> str:
        """The prompt as one string."""
        return "".join(segment.text for segment in self.segments)

    def copied(self, question: EditQuestion) -> str:
        """The answer where nothing changes: what it mostly repeats."""
        return question.old.removeprefix(self.prefill) + "\n"


@dataclass(frozen=True, slots=True)
class SpmTokens:
    """The control tokens of a model's vocabulary that a suffix-prefix-middle prompt needs."""

    suffix: str
    prefix: str
    middle: str
    end: str


SEED_CODER = SpmTokens("<[fim-suffix]>", "<[fim-prefix]>", "<[fim-middle]>", "<[end▁of▁sentence]>")
QWEN = SpmTokens("<|fim_suffix|>", "<|fim_prefix|>", "<|fim_middle|>", "<|im_end|>")


@dataclass(frozen=True, slots=True)
class FormSpec:
    """The prompt form of a family of models. `above` and `below` are the window's lines around the
    cursor's, at most `window_bytes` of them; `markers` are texts that a document must not hold."""

    write: Callable[[EditQuestion], EditPrompt]
    read: Callable[[EditQuestion, str], str | None]
    markers: tuple[str, ...]
    above: int = 10
    below: int = 10
    window_bytes: int = 1_000_000


def render(form: EditForm, question: EditQuestion) -> EditPrompt | None:
    """Return the prompt, or None where the question's text holds one of the form's markers."""
    row = FORMS[form]
    shown = (question.text, *(text for hunk in question.hunks for text in (hunk.old, hunk.new)))
    if any(marker in text for marker in row.markers for text in shown):
        return None
    return row.write(question)


def read_answer(form: EditForm, question: EditQuestion, answer: str) -> str | None:
    """Return what the window becomes by `answer`, which begins with the prompt's prefill; None
    where it proposes nothing, or cannot be read."""
    new = FORMS[form].read(question, answer)
    if new is None:
        return None
    if not question.old.endswith("\n"):
        new = new.removesuffix("\n")
    return None if new == question.old else new


def window_around(form: EditForm, text: str, cursor: int) -> Span:
    """Return the whole lines around `cursor` that a model of this form may rewrite."""
    row = FORMS[form]
    start, end = line_start(text, cursor), line_end(text, cursor)
    above, below, size = row.above, row.below, end - start
    while above > 0 or below > 0:
        grown = False
        if below > 0 and end < len(text):
            next_end = line_end(text, next_line(text, end))
            if size + next_end - end <= row.window_bytes:
                size, end, grown = size + next_end - end, next_end, True
        if above > 0 and start > 0:
            next_start = previous_line(text, start)
            if size + start - next_start <= row.window_bytes:
                size, start, grown = size + start - next_start, next_start, True
        above, below = above - 1, below - 1
        if not grown:
            break
    return Span(start, end)


def excerpt_of(text: str, row: int) -> str:
    """Return `text`, or of a long one the lines around `row` (from 0) on a fixed stride."""
    lines = text.split("\n")
    if len(lines) <= WHOLE_FILE_LINES:
        return text
    first = max(0, row // EXCERPT_STRIDE * EXCERPT_STRIDE - EXCERPT_STRIDE // 2)
    return "\n".join(lines[first : first + EXCERPT_LINES])


# --- Sweep: file separators; the window is written out again from the cursor's line on ------------


def _write_sweep(question: EditQuestion) -> EditPrompt:
    first = question.text.count("\n", 0, question.window.start) + 1
    rows = f"{first}:{first + question.old.count(chr(10))}"
    path, cursor_row = question.path, question.text.count("\n", 0, question.cursor)
    parts: list[Segment] = []

    def file(name: str, text: str) -> None:
        parts.append(Segment(_FILE_SEP, special=True))
        parts.append(Segment(f"{name}\n{text}" + ("" if text.endswith("\n") else "\n")))

    for other in question.others:
        file(other.path, other.text)
    file(path, excerpt_of(question.before or question.text, cursor_row))
    for hunk in question.hunks[-MAX_HUNKS:]:
        file(f"{hunk.path}.diff", f"original:\n{hunk.old}\nupdated:\n{hunk.new}")
    file(f"original/{path}:{rows}", _without_hunks(question))
    file(f"current/{path}:{rows}", question.marked(_CURSOR))
    prefill = question.text[question.window.start : line_start(question.text, question.cursor)]
    parts.append(Segment(_FILE_SEP, special=True))
    parts.append(Segment(f"updated/{path}:{rows}\n{prefill}"))
    return EditPrompt(tuple(parts), (_FILE_SEP, "<|endoftext|>"), prefill)


def _without_hunks(question: EditQuestion) -> str:
    """The window as it was before the last changes, the newest undone first; one whose new text is
    not in it ends this."""
    window = question.old
    if not question.before:
        return window
    for hunk in reversed(question.hunks[-MAX_HUNKS:]):
        if hunk.path != question.path or not hunk.new or hunk.new not in window:
            break
        window = window.replace(hunk.new, hunk.old, 1)
    return window


def _read_sweep(question: EditQuestion, answer: str) -> str | None:
    text = _cut(answer, _FILE_SEP, "<|endoftext|>")
    if _CURSOR in text or "No newline at end of file" in text:
        return None
    return text


# --- Zeta 2: suffix, prefix, and the window between conflict markers ------------------------------


def _write_zeta2(tokens: SpmTokens, question: EditQuestion) -> EditPrompt:
    window = f"<<<<<<< CURRENT\n{question.marked(_USER_CURSOR)}\n=======\n"
    return _spm(tokens, question, window, (">>>>>>> UPDATED",))


def _spm(
    tokens: SpmTokens, question: EditQuestion, window: str, stop: tuple[str, ...]
) -> EditPrompt:
    above, below = _around(question)
    related = "".join(f"<filename>{one.path}\n{one.text.rstrip()}\n" for one in question.others)
    history = "\n".join(_diff(hunk, "a/", "b/") for hunk in question.hunks[-MAX_HUNKS:])
    head = f"{related}\n" if related else ""
    if history:
        head += f"<filename>edit_history\n{history}\n"
    return EditPrompt(
        (
            Segment(tokens.suffix, special=True),
            Segment(f"{below}\n"),
            Segment(tokens.prefix, special=True),
            Segment(f"{head}<filename>{question.path}\n{above}{window}"),
            Segment(tokens.middle, special=True),
        ),
        (*stop, tokens.end),
    )


def _read_zeta2(question: EditQuestion, answer: str) -> str | None:
    text = _cut(answer, ">>>>>>> UPDATED", SEED_CODER.end)
    if text.strip() == NO_EDITS:
        return None
    return _without_cursor(text)


# --- Zeta 2.1: the window in numbered blocks; only the blocks that change are written -------------


def _write_zeta2_1(tokens: SpmTokens, question: EditQuestion) -> EditPrompt:
    old, at = question.old, question.cursor - question.window.start
    starts = block_starts(old)
    pieces: list[str] = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(old)], strict=True), 1):
        block = old[start:end]
        if start <= at < end or (at == end == len(old)):
            block = block[: at - start] + _USER_CURSOR + block[at - start :]
        pieces.append(f"{_marker(number)}{block}")
    return _spm(tokens, question, "".join(pieces) + _marker(len(starts) + 1), ())


def _read_zeta2_1(question: EditQuestion, answer: str) -> str | None:
    text = _cut(answer, SEED_CODER.end, QWEN.end)
    found = list(_MARKERS.finditer(text))
    bounds = [*block_starts(question.old), len(question.old)]
    if len(found) < 2:
        return None
    first, last = int(found[0][1]), int(found[-1][1])
    if not 1 <= first < last <= len(bounds):
        return None  # the same marker twice says that nothing changes
    new = _without_cursor(_MARKERS.sub("", text[found[0].end() : found[-1].start()]))
    return question.old[: bounds[first - 1]] + new + question.old[bounds[last - 1] :]


def block_starts(text: str) -> list[int]:
    """Return where the blocks of a window begin. A block ends after at least 6 lines where a
    visible line follows a blank one, or after 16; no block at the end is shorter than 6 lines."""
    lines = split_lines(text, keepends=True)
    starts, first = [0], 0
    for row in range(1, len(lines)):
        length = row - first
        after_blank = lines[row].strip() and not lines[row - 1].strip()
        if length < _MIN_BLOCK_LINES or not (after_blank or length >= _MAX_BLOCK_LINES):
            continue
        ahead = range(row, min(row + MAX_CUT_SHIFT + 1, len(lines)))
        cut = next((one for one in ahead if not _CLOSING.match(lines[one])), row)
        if len(lines) - cut < _MIN_BLOCK_LINES:
            break
        starts.append(starts[-1] + sum(map(len, lines[first:cut])))
        first = cut
    return starts


# --- Mercury, and models that follow instructions: one message ------------------------------------


def _write_mercury(question: EditQuestion) -> EditPrompt:
    above, below = _around(question)
    viewed = "".join(
        f"<|recently_viewed_code_snippet|>\ncode_snippet_file_path: {one.path}\n"
        f"{one.text.rstrip()}\n<|/recently_viewed_code_snippet|>\n"
        for one in question.others
    )
    diffs = "".join(f"{_diff(hunk)}\n" for hunk in question.hunks[-MAX_HUNKS:])
    text = (
        f"<|recently_viewed_code_snippets|>\n{viewed}<|/recently_viewed_code_snippets|>\n\n"
        f"<|current_file_content|>\ncurrent_file_path: {question.path}\n{above}"
        f"<|code_to_edit|>\n{question.marked(_CURSOR)}\n<|/code_to_edit|>\n"
        f"{below}{chr(10) if below else ''}<|/current_file_content|>\n\n"
        f"<|edit_diff_history|>\n{diffs}<|/edit_diff_history|>\n"
    )
    return EditPrompt((Segment(text),), ("<|/code_to_edit|>",), is_chat=True)


def _read_mercury(question: EditQuestion, answer: str) -> str | None:
    text = _fenced(_cut(answer, "<|/code_to_edit|>"))
    return None if text is None else text.replace(_CURSOR, "")


def _write_instruct(question: EditQuestion) -> EditPrompt:
    above, below = _around(question)
    diffs = "\n".join(_diff(hunk) for hunk in question.hunks[-MAX_HUNKS:])
    text = (
        "You complete a programmer's work. They have just made these changes:\n"
        f"```diff\n{diffs}```\n"
        f"This is {question.path}, with the part that you may edit between the markers:\n"
        f"```\n{above}{_REGION[0]}\n{question.old}\n{_REGION[1]}\n{below}\n```\n"
        "What else between the markers has to change because of these changes? Answer with that"
        f" part, rewritten, in one fenced block and nothing else. Answer {NO_EDITS} if nothing"
        " has to change."
    )
    return EditPrompt((Segment(text),), (), is_chat=True)


def _read_instruct(question: EditQuestion, answer: str) -> str | None:
    if NO_EDITS in answer:
        return None
    text = _fenced(answer)
    for marker in _REGION:
        text = text.replace(f"{marker}\n", "").replace(marker, "") if text is not None else None
    return text


# --- shared ---------------------------------------------------------------------------------------

_FILE_SEP = "<|file_sep|>"
_CURSOR, _USER_CURSOR = "<|cursor|>", "<|user_cursor|>"
_REGION = ("<|edit_begin|>", "<|edit_end|>")
_MARKERS = re.compile(r"<\|marker_(\d{1,4})\|>")
_MIN_BLOCK_LINES, _MAX_BLOCK_LINES = 6, 16
_CLOSING = re.compile(r"\s*([\])};,]*|(break|continue|return|throw|end)\b;?)\s*$")
_FENCE = re.compile(r"```[^\n]*\n(.*?)\n?```", re.DOTALL)


def _marker(number: int) -> str:
    return f"<|marker_{number}|>"


def _around(question: EditQuestion) -> tuple[str, str]:
    """The file above and below the window, whole lines of at most `MAX_CONTEXT_CHARS` together."""
    above = question.text[: question.window.start]
    below = question.text[question.window.end + 1 :].removesuffix("\n")
    if len(above) + len(below) > MAX_CONTEXT_CHARS:
        most = max(MAX_CONTEXT_CHARS // 2, MAX_CONTEXT_CHARS - len(below))
        above = above[-most:].partition("\n")[2] if len(above) > most else above
        below = below[: MAX_CONTEXT_CHARS - len(above)]
        below = below.rpartition("\n")[0] if "\n" in below else below
    return above, below


def _diff(hunk: Hunk, old: str = "", new: str = "") -> str:
    """The hunk as a unified diff without lines around it."""
    gone = hunk.old.split("\n") if hunk.old else []
    put = hunk.new.split("\n") if hunk.new else []
    head = f"--- {old}{hunk.path}\n+++ {new}{hunk.path}\n"
    counts = f"@@ -{hunk.row},{len(gone)} +{hunk.row},{len(put)} @@\n"
    lines = [*(f"-{line}\n" for line in gone), *(f"+{line}\n" for line in put)]
    return head + counts + "".join(lines)


def _cut(text: str, *stops: str) -> str:
    for stop in stops:
        text = text.partition(stop)[0]
    return text


def _without_cursor(text: str) -> str:
    return re.sub(rf"(?m)^{re.escape(_USER_CURSOR)}\n", "", text).replace(_USER_CURSOR, "")


def _fenced(text: str) -> str | None:
    """Return the content of the fence, or all of an answer without one; None for nothing."""
    match = _FENCE.search(text)
    inner = match[1] if match else text
    return inner if inner.strip() else None


def _spm_form(
    tokens: SpmTokens,
    write: Callable[[SpmTokens, EditQuestion], EditPrompt],
    read: Callable[[EditQuestion, str], str | None],
    *markers: str,
) -> FormSpec:
    """The form of a suffix-prefix-middle prompt; `markers` are those besides the tokens."""
    own = (tokens.suffix, tokens.prefix, tokens.middle, tokens.end, _USER_CURSOR)
    return FormSpec(
        partial(write, tokens),
        read,
        (*own, *markers),
        above=40,
        below=40,
        window_bytes=350 * BYTES_PER_TOKEN,
    )


_CONFLICT = ("<<<<<<< CURRENT", "\n=======\n", ">>>>>>> UPDATED")

FORMS: dict[EditForm, FormSpec] = {
    EditForm.SWEEP: FormSpec(
        _write_sweep, _read_sweep, (_FILE_SEP, _CURSOR, "<|endoftext|>"), above=10, below=10
    ),
    EditForm.ZETA2: _spm_form(SEED_CODER, _write_zeta2, _read_zeta2, *_CONFLICT),
    EditForm.ZETA2_1: _spm_form(SEED_CODER, _write_zeta2_1, _read_zeta2_1, "<|marker_"),
    EditForm.ZETA2_1_QWEN: _spm_form(QWEN, _write_zeta2_1, _read_zeta2_1, "<|marker_"),
    EditForm.MERCURY: FormSpec(
        _write_mercury,
        _read_mercury,
        (_CURSOR, "<|code_to_edit|>", "<|/code_to_edit|>", "<|/current_file_content|>"),
        above=12,
        below=12,
        window_bytes=600,
    ),
    EditForm.INSTRUCT: FormSpec(_write_instruct, _read_instruct, _REGION, above=10, below=10),
}
"""Sizes are the authors': Sweep was trained on windows of 21 lines; Zed's client lets 350 tokens be
edited, Inception's documentation 150."""
