"""Strategies for JSON text messages, made from the JSON schema of their pydantic models."""

import json
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

Schema = dict[str, Any]

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
JUNK = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)


def messages(adapter: TypeAdapter[Any]) -> st.SearchStrategy[str]:
    """Those that the models allow."""
    return _objects(adapter).map(json.dumps)


def broken_messages(adapter: TypeAdapter[Any]) -> st.SearchStrategy[str]:
    """Those that they nearly allow: with a field left out, of another kind or too many, or cut off; and noise."""
    good = _objects(adapter)
    names = st.sampled_from(sorted({name for kind in _kinds(adapter) for name in kind["properties"]} | {"more"}))
    changed = st.builds(lambda message, name, value: {**message, name: value}, good, names, JUNK).map(json.dumps)
    lacking = st.builds(lambda message, name: {k: v for k, v in message.items() if k != name}, good, names).map(
        json.dumps
    )
    cut = st.builds(lambda text, at: text[: at % (len(text) + 1)], good.map(json.dumps), st.integers(0, 200))
    deep = st.integers(1, 100_000).map(lambda depth: "[" * depth)
    return changed | lacking | cut | deep | JUNK.map(json.dumps) | st.text(max_size=40)


def _kinds(adapter: TypeAdapter[Any]) -> list[Schema]:
    schema = adapter.json_schema()
    return [_resolved(kind, schema) for kind in schema["oneOf"]]


def _objects(adapter: TypeAdapter[Any]) -> st.SearchStrategy[dict[str, Any]]:
    schema = adapter.json_schema()
    return st.one_of([_of(kind, schema) for kind in _kinds(adapter)])


def _resolved(node: Schema, root: Schema) -> Schema:
    found: Schema = root["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return found


def _of(node: Schema, root: Schema) -> st.SearchStrategy[Any]:
    node = _resolved(node, root)
    if "const" in node:
        return st.just(node["const"])
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if "anyOf" in node:
        return st.one_of([_of(one, root) for one in node["anyOf"]])
    match node["type"]:
        case "object":
            fields = {name: _of(field, root) for name, field in node["properties"].items()}
            needed = {"type", *node.get("required", ())}
            return st.fixed_dictionaries(
                {name: fields[name] for name in needed},
                optional={name: field for name, field in fields.items() if name not in needed},
            )
        case "string":
            return st.text(max_size=min(node.get("maxLength", 20), 200))
        case "integer":
            return st.integers(node.get("minimum"), node.get("maximum"))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case kind:
            raise NotImplementedError(kind)
