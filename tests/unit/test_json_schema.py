"""Schemas that somebody else has written, and may have meant badly."""

from __future__ import annotations

from typing import Any

import pytest

from nearfield.features.chat.validate import validator
from nearfield.json_schema import MAX_NODES, SchemaUnusable, check

A = {"$ref": "#/$defs/a"}
SELF = {"properties": {"x": {"$ref": "#"}}}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"items": {"$ref": "#"}}},
    "required": ["name"],
}


def _doubling(keyword: str, levels: int = 20) -> dict[str, Any]:
    """One place at which 2 to the power of `levels` schemas apply."""
    defs: dict[str, Any] = {
        f"a{n}": {keyword: [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)
    }
    return {"$ref": "#/$defs/a0", "$defs": {**defs, f"a{levels}": {"type": "string"}}}


def _nested(keyword: str, levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {keyword: [schema]}
    return schema


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (None, "an object"),
        (True, "an object"),
        ([], "an object"),
        ("string", "an object"),
        ({"$ref": "#"}, "refers to itself"),
        ({"$ref": ""}, "refers to itself"),
        ({**A, "$defs": {"a": A}}, "refers to itself"),
        ({**A, "$defs": {"a": {"$ref": "#/$defs/b"}, "b": A}}, "refers to itself"),
        ({"anyOf": [{"type": "null"}, {"$ref": "#"}]}, "refers to itself"),
        ({"not": {"$ref": "#"}}, "refers to itself"),
        ({"if": {"type": "null"}, "then": {"allOf": [{"$ref": "#"}]}}, "refers to itself"),
        ({"properties": {"x": {"$ref": "#/properties/x"}}}, "refers to itself"),
        ({"dependentSchemas": {"x": {"$ref": "#"}}}, "refers to itself"),
        ({"$dynamicRef": "#"}, "dynamicRef"),
        ({"$ref": "http://127.0.0.1:1/x.json"}, "not in it"),
        ({"$ref": "https://example.org/x.json#/a"}, "not in it"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "not in it"),
        ({"$ref": "other.json"}, "not in it"),
        ({"$ref": "#gone"}, "not in it"),
        ({"$ref": "#/$ref"}, "not in it"),
        ({"$ref": "#/required", "required": ["a"]}, "not in it"),
        ({"$ref": 0}, "no text"),
        ({"$schema": 5}, r"\$schema"),
        ({"$ref": "#/$defs/gone"}, "not in it"),
        ({"$ref": "#/allOf/99999999999999999999", "allOf": []}, "not in it"),
        ({"items": {"$id": "http://example.org/", "$ref": "#/x"}}, r"\$id"),
        (_doubling("anyOf"), "alternatives"),
        (_doubling("allOf"), "alternatives"),
        (_doubling("oneOf"), "alternatives"),
        ({"anyOf": [{"const": n} for n in range(1500)]}, "alternatives"),
        (_nested("anyOf", 100), "nested"),
        ({"enum": list(range(MAX_NODES))}, "parts"),
        ({"minimum": float("nan")}, "number"),
    ],
)
def test_unsafe_schemas_are_refused(schema: Any, why: str) -> None:
    with pytest.raises(SchemaUnusable, match=why):
        check(schema)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "nonsense"}, "no JSON schema"),
        ({"properties": 3}, "no JSON schema"),
        ({"pattern": 5}, "no JSON schema"),
        ({"pattern": "(?=a)b"}, "cannot be used"),
        ({"pattern": "(a)\\1"}, "cannot be used"),
        ({"pattern": "("}, "cannot be used"),
        ({"pattern": "\ud800"}, "cannot be used"),
        ({"$schema": "//[x"}, "can be used"),
        ({"$schema": "http://json-schema.org/draft-03/schema#", "disallow": "x"}, "draft"),
        ({"pattern": "((a{1,1000}){1,1000}){1,1000}"}, "cannot be used"),
        ({"patternProperties": {"(a+)+$": {}}}, "too complicated"),
        ({"patternProperties": {"a*a*b": {}}}, "too complicated"),
        ({"items": {"multipleOf": 0}}, "no JSON schema"),
    ],
)
def test_unsupported_keywords_are_refused(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(SchemaUnusable, match=why):
        validator(schema)


@pytest.mark.parametrize(
    ("schema", "value", "wrong"),
    [
        (TREE, {"name": "a", "children": [{"name": "b"}]}, ""),
        (TREE, {"name": "a", "children": [{}]}, "required"),
        ({**TREE, "description": "$ref: #"}, {"name": "a"}, ""),
        # Data in a schema is no schema.
        ({"enum": [{"$ref": "#"}, {"$id": 1}]}, {"$ref": "#"}, ""),
        ({"properties": {"$ref": {"type": "string"}}}, {"$ref": "#"}, ""),
        ({"const": {"$dynamicRef": "x"}}, 5, "expected"),
        ({"pattern": "^[a-z]+(-[a-z]+)*$"}, "ab-cd", ""),
        ({"pattern": "^[a-z]+(-[a-z]+)*$"}, "ab-", "does not match"),
        ({"pattern": "^(a+)+$"}, "a" * 5_000 + "b", "does not match"),
        ({"pattern": "(x+x+)+y"}, "x" * 5_000, "does not match"),
        ({"contains": {"$schema": DRAFT_7, "pattern": "^(a+)+$"}}, ["a" * 40 + "b"], "contain"),
        ({"$schema": DRAFT_7, "pattern": "^(a+)+$", **SELF}, {"x": "a" * 40 + "b"}, "not match"),
        ({"pattern": "^a+$"}, "a\ud800", "does not match"),
        ({"patternProperties": {"^x-": {"type": "null"}}}, {"x-a": 1}, "null"),
        ({"uniqueItems": True}, [*range(3000), "a", [1], [1]], "twice"),
        ({"items": {"multipleOf": 1e-300}}, [10**300], "multiple"),
    ],
)
def test_supported_keywords_are_checked(schema: dict[str, Any], value: Any, wrong: str) -> None:
    said = validator(schema)(value)
    assert wrong in said and bool(said) == bool(wrong)


def test_a_check_has_an_end_whatever_is_multiplied() -> None:
    item = {"items": {"$ref": "#"}}
    wrong = validator({"anyOf": [item, {**item, "minItems": 0}], "not": {"const": 0}})
    value: Any = 0
    for _ in range(40):
        value = [value]
    assert "too large" in wrong(value)
