"""JSON schemas that an answer must fulfil. References to other addresses are refused, never fetched."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from pydantic_core import from_json, to_json
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

_NO_SUBSCHEMAS = frozenset({"const", "enum", "default", "examples"})


class BrokenSchema(ValueError):
    """The caller's schema cannot be used; the message says why."""


class InvalidJson(ValueError):
    """An answer that is no JSON or breaks the schema; the message is fit to send back to the model."""


class AnswerSchema:
    """A compiled schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        validator_class = validator_for(schema, default=Draft202012Validator)
        try:
            validator_class.check_schema(schema)
            _check_references(schema)
            self._validator: Validator = validator_class(schema, registry=Registry())
        except SchemaError as error:
            raise BrokenSchema(f"{error.json_path}: {error.message}") from None
        except RecursionError:
            raise BrokenSchema("it is nested too deeply") from None

    def check(self, text: str) -> None:
        """Raises InvalidJson unless `text` is JSON that fulfils the schema."""
        try:
            value = from_json(text, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidJson(f"the answer is not JSON: {error}") from None
        try:
            broken = best_match(self._validator.iter_errors(value))
        except RecursionError:
            raise BrokenSchema("its references never end") from None
        except Unresolvable as error:
            raise BrokenSchema(f"a reference cannot be resolved: {error}") from None
        if broken is not None:
            raise InvalidJson(f"{broken.json_path}: {broken.message[:500]}")


def compile_schema(schema: Mapping[str, Any], max_bytes: int) -> AnswerSchema:
    """The compiled schema, from a cache where the same was asked for before. Raises BrokenSchema."""
    written = to_json(schema)
    if len(written) > max_bytes:
        raise BrokenSchema(f"it has {len(written)} bytes; at most {max_bytes} are taken")
    return _compile(written)


@lru_cache(maxsize=256)
def _compile(written: bytes) -> AnswerSchema:
    return AnswerSchema(from_json(written))


def _check_references(schema: dict[str, Any]) -> None:
    resolver = Registry().with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise BrokenSchema(f"$ref {reference!r} points outside the schema; put what it names into $defs")
        try:
            resolver.lookup(reference)
        except Unresolvable:
            raise BrokenSchema(f"$ref {reference!r} names nothing in the schema") from None


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            elif key not in _NO_SUBSCHEMAS:
                yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


JSON_OBJECT = AnswerSchema({"type": "object"})
