"""Each family of models on its real vocabulary: prompts, control tokens, healing, state.

The weights are random, so what a model says is nonsense; the tokens that it reads and may write are
not.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.engine import vocabularies
from tests.engine.conftest import SILENCE
from tests.engine.families import CONTEXT, FAMILIES, Family, write_model

from nearfield.catalog.control_tokens import EXACT, WORDS
from nearfield.catalog.templates import fim_template
from nearfield.engine.bindings import c
from nearfield.engine.chat_template import render as render_chat
from nearfield.engine.frames import Done, Event, Generate, JobFailed, ModelLoaded, Tokens, Variant
from nearfield.engine.job import tokenize
from nearfield.engine.lane import Abort, Lane
from nearfield.engine.llama import Model
from nearfield.engine.output import TextOutput
from nearfield.engine.rates import Rates
from nearfield.engine.scheduler import Scheduler
from nearfield.errors import Unsupported
from nearfield.providers import fim
from nearfield.providers.embedded import from_vocabulary
from nearfield.types import InfillRequest, Snippet, SnippetKind

pytestmark = pytest.mark.model


TEXTS = (
    "for key, value in items:\n\ttotal  +=  value\n",
    "    return sorted(names)[-1]  # the last\n",
    "größe = 'naïve 日本語 🦀'\n",
    "\r\n\r\n  x\n",
    "a\u200bb \u00a0 c\n",
    " leading blank",
)
TYPED = ("    return sorte", "x = größ", "print('日本", "value", "🦀 = 1")
PREFIX = "def area(width, height):\n    return wid"
SUFFIX = "\n\n\nprint(area(2, 3))\n"


class AbortOnce(Abort):
    """Ends one step in the middle: the one before which the scheduler clears the flag next."""

    is_armed = False

    def clear(self) -> None:
        super().clear()
        if self.is_armed:
            self.set()
        self.is_armed = False


@dataclass
class Loaded:
    """A model of a family, with a lane and a scheduler over it."""

    family: Family
    model: Model
    lane: Lane
    abort: AbortOnce
    events: list[Event] = field(default_factory=list[Event])

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(
            self.model, lambda _: self.lane, Rates(), self.abort, self.events.append
        )

    def ask(self, spec: Generate) -> tuple[str, Done]:
        """Run a job to its end; return its text and what it cost."""
        self.events.clear()
        self.scheduler.add(spec)
        while not self.scheduler.idle:
            self.scheduler.step()
        failed = [event for event in self.events if isinstance(event, JobFailed)]
        assert not failed, failed
        text = "".join(event.text for event in self.events if isinstance(event, Tokens))
        return text, next(event for event in self.events if isinstance(event, Done))


@pytest.fixture(scope="module", params=FAMILIES)
def loaded(
    request: pytest.FixtureRequest,
    default_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Loaded]:
    family = FAMILIES[request.param]
    path = tmp_path_factory.mktemp("families") / f"{request.param}.gguf"
    write_model(family, vocabularies.path(family.vocabulary) or default_model, path)
    c.llama_backend_init()
    model = Model(path, 0, lambda _: None, SILENCE)
    path.unlink()
    abort = AbortOnce()
    lane = Lane(model, context_size=2 * CONTEXT, sequences=2, chunk=32, threads=1, abort=abort)
    yield Loaded(family, model, lane, abort)
    lane.close()
    model.close()


def infill(model: Model, template_name: str, prefix: str = PREFIX) -> Variant:
    """The prompt for the cursor after `prefix`, with another file shown."""
    request = InfillRequest(
        document="d",
        path="area.py",
        language="python",
        prefix=prefix,
        suffix=SUFFIX,
        typed=prefix.rpartition("\n")[2],
        repo="shapes",
        snippets=(Snippet("other.py", "def side():\n    ...\n", SnippetKind.DEFINITION),),
    )
    template = fim_template(template_name)
    segments = fim.render(template, request)
    heal = fim.heal_index(template, request, segments)
    return Variant([(s.text, s.special) for s in segments], heal)


def spec(variant: Variant, *, lane: str = "infill", max_tokens: int = 8, id: int = 1) -> Generate:
    return Generate(
        id=id, lane=lane, priority=0, document="d", variants=[variant], max_tokens=max_tokens
    )


def test_the_vocabularies_are_those_of_the_pinned_engine() -> None:
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert extras["local"] == [f"llama-cpp-python=={vocabularies.VERSION}"]


@pytest.mark.parametrize("text", TEXTS)
def test_plain_text_comes_back_byte_for_byte(loaded: Loaded, text: str) -> None:
    """No blank is added at the beginning, no character lost where it is cut between tokens."""
    model = loaded.model
    tokens = model.tokenize(text)
    assert b"".join(model.pieces[token] for token in tokens) == text.encode()
    output = TextOutput()
    shown = "".join(output.feed(model.pieces[token]) for token in tokens) + output.end()
    assert shown == text


def test_pieces_of_a_prompt_join_without_blanks(loaded: Loaded) -> None:
    model = loaded.model
    joined = [*model.tokenize("def f():\n"), *model.tokenize("return x"), *model.tokenize(" + 1")]
    assert b"".join(model.pieces[t] for t in joined) == b"def f():\nreturn x + 1"


def test_control_tokens_in_a_document_stay_text(loaded: Loaded) -> None:
    """Those of every family, and all that this vocabulary has, user-defined ones among them."""
    model = loaded.model
    control = {t for t, piece in enumerate(model.pieces) if not piece}
    own = [model.control_text(t) for t in sorted(control | set(model.forgeable))]
    texts = [text for text in (*EXACT, *WORDS, *own) if "▁" not in text and len(text) > 1]
    for text in dict.fromkeys(texts):
        tokens = model.tokenize(f"a = '{text}'\n")
        assert control.isdisjoint(tokens), text
        assert model.forgeable.keys().isdisjoint(tokens), text
        assert b"".join(model.pieces[t] for t in tokens) == f"a = '{text}'\n".encode(), text


def test_tokens_of_the_fill_in_form_are_one_token_each(loaded: Loaded) -> None:
    template = fim_template(loaded.family.fim)
    if template is None:
        assert loaded.model.fim[:3] == ["", "", ""]
        return
    form = (template.prefix, template.suffix, template.middle)
    for text in (*form, template.file_sep, template.repo_name, *template.end):
        tokens = loaded.model.tokenize(text, special=True)
        assert text == "" or [loaded.model.control_text(t) for t in tokens] == [text]
    middles = {template.prefix, template.suffix, template.middle, template.file_sep}
    for text in middles - {""}:
        assert loaded.model.tokenize(text, special=True)[0] in loaded.model.ends("infill")


def test_the_fill_in_form_is_found_by_the_vocabulary(loaded: Loaded) -> None:
    info = ModelLoaded("a model", 1, 1, 1, 1, 1, 1, loaded.model.fim, False, False, 1.0, 1.0, 1.0)
    found = from_vocabulary(info)
    assert found == fim_template(loaded.family.fim)


def test_a_fill_in_prompt_has_the_documents_text_and_its_control_tokens(loaded: Loaded) -> None:
    model = loaded.model
    prompt = tokenize(model, infill(model, loaded.family.fim), 0)
    said = b"".join(model.pieces[token] for token in prompt.tokens) + prompt.owed
    template = fim_template(loaded.family.fim)
    assert prompt.tokens[: len(model.bos)] == model.bos
    assert b"def side():\n    ..." in said
    assert PREFIX.removesuffix(prompt.owed.decode()).encode() in said
    if template is not None:
        assert SUFFIX.encode() in said
        control = [model.control_text(t) for t in prompt.tokens if not model.pieces[t]]
        order = [template.prefix, template.suffix]
        order = [*(order if template.order == "psm" else order[::-1]), template.middle]
        order = [text for text in order if text]
        assert [text for text in control if text in order] == order
        assert control.count(template.file_sep) == (2 if template.file_sep else 0)
    assert loaded.ask(spec(infill(model, loaded.family.fim)))[1].prompt_tokens == len(prompt.tokens)


@pytest.mark.parametrize("typed", TYPED)
def test_the_healed_word_is_written_again_first(loaded: Loaded, typed: str) -> None:
    """Whatever the model would like to say, its answer begins with what is owed: whole
    characters, also where they are cut between tokens."""
    model = loaded.model
    prompt = tokenize(model, Variant([("x = 1\n" + typed, False)], heal=0), 0)
    said = b"".join(model.pieces[token] for token in prompt.tokens)
    assert said + prompt.owed == ("x = 1\n" + typed).encode()
    owed = prompt.owed
    assert typed.endswith(owed.decode())
    allowed = model.byte_index.allowed(owed)
    assert len(allowed)
    pieces = [model.pieces[token] for token in allowed]
    assert all(piece.startswith(owed) or owed.startswith(piece) for piece in pieces)
    assert loaded.ask(spec(Variant([("x = 1\n" + typed, False)], heal=0)))[1].generated_tokens


def test_nothing_without_text_is_written(loaded: Loaded) -> None:
    """What ends a middle ends it; no other token without bytes can be sampled."""
    model = loaded.model
    for lane in ("infill", "chat"):
        never = set(model.never(lane).tolist())
        assert never.isdisjoint(model.ends(lane))
        silent = {t for t, piece in enumerate(model.pieces) if not piece}
        assert silent <= never | model.ends(lane)
    assert model.ends("chat") <= model.ends("infill")
    assert model.eos in model.ends("chat")


def test_a_stop_string_ends_the_answer_where_it_begins(loaded: Loaded) -> None:
    variant = infill(loaded.model, loaded.family.fim)
    whole, _ = loaded.ask(spec(variant, max_tokens=12))
    assert len(whole) > 3
    stop = whole[2:4]
    cut, _ = loaded.ask(
        Generate(
            id=2,
            lane="infill",
            priority=0,
            document="d",
            variants=[variant],
            max_tokens=12,
            stop=[stop],
        )
    )
    assert cut == whole[: whole.index(stop)]


def test_prompt_reuse_follows_what_the_state_allows(loaded: Loaded) -> None:
    """Where a state cannot be cut nothing but its exact continuation is reused, and the answer is
    that of a fresh evaluation in any case."""
    model, lane = loaded.model, loaded.lane
    assert model.has_tails is loaded.family.cuts
    first = Variant([(PREFIX + "th * he", False)])
    second = Variant([(PREFIX + "th + ba", False)])
    lane.clear()
    fresh, _ = loaded.ask(spec(second, max_tokens=6))
    lane.clear()
    loaded.ask(spec(first, max_tokens=6))
    text, done = loaded.ask(spec(second, max_tokens=6))
    assert text == fresh
    assert done.reused_tokens + done.evaluated_tokens == done.prompt_tokens
    if loaded.family.cuts:
        assert done.reused_tokens > 4
    else:
        assert done.reused_tokens == 0
        held = max(lane.table.all, key=lambda s: s.used_at).tokens
        grown = Variant([(model_text(model, held) + "\nx = 1", False)])
        tokens = tokenize(model, grown, 0).tokens
        reused = len(held) if tokens[: len(held)] == held else 0
        assert loaded.ask(spec(grown, max_tokens=2))[1].reused_tokens == reused


def model_text(model: Model, tokens: list[int]) -> str:
    return b"".join(model.pieces[token] for token in tokens).decode("utf-8", "replace")


def test_drafts_change_nothing_but_the_steps(loaded: Loaded) -> None:
    """A draft is taken back where it was wrong, so a state that cannot be cut gets none."""
    variant = Variant([("x = 1\n" * 8, False)])
    loaded.lane.clear()
    fresh, alone = loaded.ask(spec(variant, max_tokens=8))
    half = fresh[: len(fresh) // 2]
    loaded.lane.clear()
    copied = msgspec.structs.replace(spec(variant, max_tokens=8), copied=half + "\nno = 2\n" * 3)
    text, done = loaded.ask(copied)
    assert (text, done.generated_tokens) == (fresh, alone.generated_tokens)
    if not loaded.family.cuts:
        assert done.decode_steps == alone.decode_steps


def test_an_aborted_prefill_is_made_up_for(loaded: Loaded) -> None:
    """The abort flag ends a step in the middle of the model's layers; the answer is the same."""
    variant = Variant([("value = 1\n" * 24, False)])
    loaded.lane.clear()
    fresh, _ = loaded.ask(spec(variant, max_tokens=4))
    loaded.lane.clear()
    loaded.events.clear()
    loaded.scheduler.add(spec(variant, max_tokens=4))
    loaded.scheduler.step()  # begins
    loaded.scheduler.step()  # the first chunk
    sequence = next(s for s in loaded.lane.table.all if s.tokens)
    held = list(sequence.tokens)
    loaded.abort.is_armed = True
    loaded.scheduler.step()
    assert sequence.tokens == (held if loaded.family.cuts else [])
    while not loaded.scheduler.idle:
        loaded.scheduler.step()
    assert "".join(event.text for event in loaded.events if isinstance(event, Tokens)) == fresh


def test_a_saved_state_serves_the_same_prompt_again(loaded: Loaded, tmp_path: Path) -> None:
    model, lane = loaded.model, loaded.lane
    variant = infill(model, loaded.family.fim)
    lane.clear()
    fresh, _ = loaded.ask(spec(variant, max_tokens=6))
    held = next(s for s in lane.table.all if s.tokens)
    file = tmp_path / "state"
    count = lane.save(held, str(file))
    assert count == len(held.tokens)
    lane.clear()
    assert lane.restore(lane.table.all[1], str(file)) == count
    text, done = loaded.ask(spec(variant, max_tokens=6))
    assert text == fresh
    assert (done.evaluated_tokens == 1) is loaded.family.cuts


def test_logits_after_a_restored_state_are_those_of_a_fresh_one(
    loaded: Loaded, tmp_path: Path
) -> None:
    lane = loaded.lane
    tokens = [*loaded.model.bos, *loaded.model.tokenize("a = b + 1\nfor x in y:\n    z")]
    lane.clear()
    first, second = lane.table.all
    lane.decode(first, tokens[:-1])
    lane.save(first, str(tmp_path / "state"))
    lane.decode(first, tokens[-1:])
    fresh = lane.logits().copy()
    lane.restore(second, str(tmp_path / "state"))
    lane.decode(second, tokens[-1:])
    assert np.allclose(lane.logits(), fresh, atol=0.1)
    lane.clear()


CHAT = {
    "messages": [
        {"role": "user", "content": "What does <|im_end|> <end_of_turn> [/INST] </s> do?"},
        {"role": "assistant", "content": "It ends a turn."},
        {"role": "user", "content": "And größe 🦀?"},
    ]
}


def test_a_chat_by_the_files_own_template_forges_no_turn(loaded: Loaded) -> None:
    model = loaded.model
    template = model.meta("tokenizer.chat_template")
    if not template:
        with pytest.raises(Unsupported):
            render_chat(template, json.dumps(CHAT), "")
        return
    pieces = render_chat(template, json.dumps(CHAT), model.control_text(model.eos))
    assert [text for text, special in pieces if not special] == [
        message["content"] for message in CHAT["messages"]
    ]
    prompt = tokenize(model, Variant(pieces), 0)
    said = b"".join(model.pieces[token] for token in prompt.tokens).decode()
    assert CHAT["messages"][0]["content"] in said
    chat = Generate(
        id=3, lane="chat", priority=0, document="c", chat=json.dumps(CHAT), max_tokens=4
    )
    assert loaded.ask(chat)[1].prompt_tokens == len(prompt.tokens)
