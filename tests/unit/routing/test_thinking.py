"""Reasoning models: thinking is no part of an answer, has a limit, and is turned off elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.routing.test_route import listen

from nearfield.config.schema import Config, Engine, ProviderSettings, Routing
from nearfield.engine.chat_template import opened, render
from nearfield.providers.registry import build
from nearfield.routing.plain_text import PlainText
from nearfield.routing.router import Router
from nearfield.routing.store import Store
from nearfield.types import ChatRequest, Delta, Finish, Message, Role

pytestmark = pytest.mark.asyncio

ASKED = (Message(Role.USER, "why?"),)


class Thinker:
    """A model that thinks for so many words unless it is told not to."""

    def __init__(self, words: int, *, stubborn: bool = False, form: str = "field") -> None:
        self.name = self.model = "thinker"
        self.requests: list[ChatRequest] = []
        self._words, self._stubborn, self._form = words, stubborn, form

    @property
    def capabilities(self) -> Any:
        return build("x", ProviderSettings(kind="scripted")).capabilities

    async def health(self) -> Any:
        return await build("x", ProviderSettings(kind="scripted")).health()

    async def chat(self, request: ChatRequest) -> Any:
        self.requests.append(request)
        thinks = request.thinking or self._stubborn
        if thinks and self._form == "marks":
            yield Delta("<think>")
        for _ in range(self._words if thinks else 0):
            yield Delta(thinking="hmm, ") if self._form == "field" else Delta("hmm, ")
        if thinks and self._form == "marks":
            yield Delta("</think>\n\n")
        yield Delta("Because.")
        yield Delta(finish=Finish.STOP)

    async def aclose(self) -> None:
        pass


def router(model: Thinker, tmp_path: Any) -> Router:
    config = Config(engine=Engine(enabled=False), routing=Routing(roles={"code": ["thinker"]}),
                    providers={"thinker": ProviderSettings(kind="scripted")})  # fmt: skip
    given: Any = {"thinker": model}
    return Router(config, given, Store(tmp_path / "ledger.db"))


@pytest.mark.parametrize("form", ["field", "marks"])
async def test_thinking_is_told_apart_from_the_answer(form: str, tmp_path: Any) -> None:
    way = router(Thinker(3, form=form), tmp_path)
    thoughts = text = ""
    async with way.chat(ChatRequest(ASKED, thinking=100), "code") as route:
        async for item in route:
            assert isinstance(item, Delta)
            thoughts += item.thinking
            text += item.text
    assert (thoughts.split(), text) == (["hmm,"] * 3, "Because.")
    await way.aclose()


@pytest.mark.parametrize("form", ["field", "marks"])
async def test_what_thinks_for_too_long_is_asked_again_without(form: str, tmp_path: Any) -> None:
    model = Thinker(500, form=form)
    way = router(model, tmp_path)
    heard = await listen(way.chat(ChatRequest(ASKED, thinking=50), "code"))
    assert heard.text == "Because."
    assert [one.thinking for one in model.requests] == [50, 0]
    await way.aclose()


async def test_what_cannot_stop_thinking_is_given_up(tmp_path: Any) -> None:
    model = Thinker(5_000, stubborn=True)
    way = router(model, tmp_path)
    heard = await listen(way.chat(ChatRequest(ASKED), "code"))
    assert "thinks for too long" in heard.error
    assert len(model.requests) == 1
    await way.aclose()


async def test_marks_that_are_cut_between_pieces_are_thinking_too() -> None:
    text = PlainText(lambda token: False)
    said = "".join(text.feed(piece) for piece in ("<thi", "nk>a", "b</th", "ink>\n", "Yes."))
    assert (said + text.feed("", ended=True), text.thought) == ("Yes.", "ab")


QWEN = (
    "{% for m in messages %}{{ m.content }}{% endfor %}A:"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
)


@pytest.mark.parametrize(("thinks", "ends"), [(False, "A:<think></think>"), (True, "A:")])
async def test_the_models_own_template_is_told_too(thinks: bool, ends: str) -> None:
    chat = json.dumps({"messages": [{"role": "user", "content": "hi"}], "thinks": thinks})
    pieces = render(QWEN, chat, "")
    assert pieces[-1] == (ends, True)
    assert opened(pieces) == ""


async def test_a_prompt_that_opens_the_thinking_is_known() -> None:
    assert opened([("hi", False), ("A:<think>\n", True)]) == "<think>"
    assert opened([("A:", True), ("<think>", False)]) == ""
