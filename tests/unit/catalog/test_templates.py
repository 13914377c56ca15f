"""The templates by name, and the chat forms as their models expect them."""

from __future__ import annotations

import pytest

from nearfield.catalog.templates import chat_names, chat_template, fim_names, fim_template
from nearfield.types import Message, Role


@pytest.mark.parametrize("name", fim_names())
def test_infilling_templates_are_complete(name: str) -> None:
    template = fim_template(name)
    assert template is not None
    assert template.name == name
    assert template.prefix
    assert template.suffix
    assert template.order in ("psm", "spm")
    # Only a form that ends with the prefix itself can do without a token for the middle.
    assert template.middle or template.order == "spm"
    assert template.end


@pytest.mark.parametrize("find", [fim_template, chat_template])
def test_unknown_names_are_an_error(find: object) -> None:
    assert callable(find)
    assert find("") is None
    with pytest.raises(KeyError):
        find("nosuch")


CONVERSATION = (
    Message(Role.USER, "Hi"),
    Message(Role.ASSISTANT, "Hello"),
    Message(Role.USER, "Bye"),
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "alpaca",
            "Below is an instruction that describes a task. Write a response that appropriately "
            "completes the request.\n\n### Instruction:\nHi\n\n### Response:Hello\n\n"
            "### Instruction:\nBye\n\n### Response:",
        ),
        (
            "deepseek-coder",
            "You are an AI programming assistant.\n### Instruction:\nHi\n### Response:\nHello\n"
            "<|EOT|>\n### Instruction:\nBye\n### Response:\n",
        ),
        (
            "phind",
            "### System Prompt\nYou are an intelligent programming assistant.\n\n"
            "### User Message\nHi\n\n### Assistant\nHello\n\n### User Message\nBye\n\n"
            "### Assistant\n",
        ),
    ],
)
def test_chat_forms(name: str, expected: str) -> None:
    template = chat_template(name)
    assert template is not None
    assert template.render(CONVERSATION) == expected
    own = template.render((Message(Role.SYSTEM, "Be brief."), *CONVERSATION))
    assert own.startswith("Be brief.".join(template.system))
    assert template.default_system not in own


def test_every_chat_form_is_covered_above() -> None:
    assert set(chat_names()) == {"alpaca", "deepseek-coder", "phind"}
