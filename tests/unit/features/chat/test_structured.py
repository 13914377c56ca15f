"""Answers that meet a schema, from a provider that may or may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.features.chat.conftest import StartTalk

from nearfield.errors import BadAnswer
from nearfield.features.chat.structured import structured
from nearfield.features.chat.validate import validator
from nearfield.json_schema import SchemaUnusable
from nearfield.routing.request_context import RequestContext
from nearfield.types import Message, Role

YEAR = {
    "type": "object",
    "properties": {"year": {"type": "integer", "minimum": 1900}, "name": {"pattern": "^P"}},
    "required": ["year"],
}


async def ask(talk: StartTalk, schema: dict[str, Any], *answers: dict[str, Any]) -> Any:
    t = talk(*answers)
    assert t.router is not None
    said = (Message(Role.USER, "when?"),)
    found = await structured(t.router, said, schema, RequestContext(workspace=str(Path.cwd())))
    return found.value, len(t.model.calls)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answers", "value", "asked"),
    [
        ([{"text": '{"year": 1991}'}], {"year": 1991}, 1),
        (
            [{"text": '```json\n{"year": 1991, "name": "Python"}\n```'}],
            {"year": 1991, "name": "Python"},
            1,
        ),
        (
            [
                {"match": "minimum of 1900", "text": '{"year": 1991}'},
                {"match": "when", "text": '{"year": 91}'},
            ],
            {"year": 1991},
            2,
        ),
        ([{"match": "not JSON", "text": "{}"}, {"match": "when", "text": "In 1991."}], None, 2),
        ([{"text": '{"year": "1991"}'}], None, 2),
    ],
)
async def test_a_value_or_a_clear_error(
    answers: list[dict[str, Any]], value: Any, asked: int, talk: StartTalk
) -> None:
    if value is not None:
        assert await ask(talk, YEAR, *answers) == (value, asked)
        return
    with pytest.raises(BadAnswer, match="met the schema"):
        await ask(talk, YEAR, *answers)


@pytest.mark.asyncio
async def test_a_provider_that_knows_no_schemas_is_asked_in_words(talk: StartTalk) -> None:
    t = talk({"text": '{"year": 2000}'})
    assert t.router is not None
    refuse = t.model.chat

    def chat(request: Any) -> Any:
        if request.schema is None:
            return refuse(request)
        t.model.calls.clear()
        return talk({"error": "Unsupported"}).model.chat(request)

    t.model.chat = chat
    found = await structured(t.router, (Message(Role.USER, "when?"),), YEAR, RequestContext())
    assert found.value == {"year": 2000}
    assert "minimum" in t.told()


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "nonsense"}, "no JSON schema"),
        ({"properties": 3}, "no JSON schema"),
        ({"$ref": "#/$defs/gone"}, "not in it"),
        ({"$ref": "https://example.org/schema.json"}, "not in it"),
    ],
)
def test_an_invalid_schema_is_refused(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(SchemaUnusable, match=why):
        validator(schema)({})
