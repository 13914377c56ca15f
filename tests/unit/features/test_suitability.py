"""Features that are not offered with small models."""

from __future__ import annotations

import pytest
from tests.unit.features.conftest import Start

from nearfield.config.schema import ProviderSettings
from nearfield.errors import EditRefused, Unsupported
from nearfield.features import suitability
from nearfield.features.code_actions.proposal import ActionRequest
from nearfield.features.suitability import why_unsuited
from nearfield.providers.scripted import Scripted
from nearfield.types import Snapshot, Span

SMALL, ABLE = "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"
CODE = Snapshot("file:///w/a.py", "python", 1, "def f(a):\n    return a + 1\n", "/w/a.py", "/w")


def small(answer: dict[str, str]) -> Scripted:
    return Scripted(
        "demo", ProviderSettings(kind="scripted", model=SMALL, options={"answers": [answer]})
    )


@pytest.mark.parametrize(
    ("feature", "model", "is_suited"),
    [
        ("review", SMALL, False),
        ("review", ABLE, True),
        ("review", "llama3.2:1b", False),
        ("review", "gpt-oss:20b", True),
        ("review", "a-model-of-unknown-size", True),
        ("review", "", True),
        ("explain", SMALL, True),
    ],
)
def test_the_size_of_a_model_decides(feature: str, model: str, is_suited: bool) -> None:
    why = why_unsuited(feature, model)
    assert (why == "") == is_suited
    assert is_suited or (model in why and f"nearfield models pull {ABLE}" in why)


async def test_a_small_model_is_not_asked_to_review(start: Start) -> None:
    model = small({"text": '{"findings": []}'})
    service = await start(model)
    assert ABLE in service.reviewer.why_unsuited
    with pytest.raises(Unsupported, match=f"such as {ABLE}"):
        await service.reviewer.review(CODE)
    assert not model.calls


async def test_a_small_model_is_not_asked_for_an_action(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(suitability._ABLE_M, "simplify", 1_500)  # pyright: ignore[reportPrivateUsage]
    model = small({"text": "x"})
    service = await start(model)
    offered = {one.action: one.disabled for one in await service.actions.menu(CODE, Span(4, 4), ())}
    assert ABLE in offered["simplify"]
    assert not offered["document"]
    with pytest.raises(EditRefused, match=f"such as {ABLE}"):
        await service.actions.propose(ActionRequest("simplify", CODE, Span(4, 4)))
    assert not model.calls
