import pytest

from chammal_llm_gateway.schema import AnswerSchema, BrokenSchema, InvalidJson, compile_schema

TREE = {
    "$defs": {"node": {"type": "object", "properties": {"child": {"$ref": "#/$defs/node"}}, "required": ["child"]}},
    "$ref": "#/$defs/node",
}


def test_the_same_schema_is_compiled_once() -> None:
    assert compile_schema({"type": "string"}, 1000) is compile_schema({"type": "string"}, 1000)


def test_references_within_the_schema_hold() -> None:
    with pytest.raises(InvalidJson, match="child"):
        AnswerSchema(TREE).check('{"child": {}}')


def test_a_member_called_ref_is_no_reference() -> None:
    AnswerSchema({"type": "object", "properties": {"$ref": {"type": "string"}}}).check('{"$ref": "http://x"}')


@pytest.mark.parametrize("text", ["", "{", "NaN", "```json\n{}\n```", "[" * 100_000])
def test_what_is_no_json_is_invalid(text: str) -> None:
    with pytest.raises(InvalidJson, match="not JSON"):
        AnswerSchema({}).check(text)


def test_an_unknown_dialect_is_read_as_the_newest() -> None:
    AnswerSchema({"$schema": "http://example.invalid/draft-99", "type": "object"}).check("{}")


def test_a_schema_past_its_limit_is_refused() -> None:
    with pytest.raises(BrokenSchema, match="bytes"):
        compile_schema({"description": "x" * 2000}, 1000)
