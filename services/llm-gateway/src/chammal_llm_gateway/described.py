"""Schemas of bodies that FastAPI does not parse, for the OpenAPI document."""

from typing import Any

from pydantic import BaseModel


def inlined(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a model without references, so that it can stand anywhere in the document."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, list):
            return [resolve(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return resolve(definitions[node["$ref"].rpartition("/")[2]])
        return {name: resolve(value) for name, value in node.items() if name != "discriminator"}

    resolved: dict[str, Any] = resolve(schema)
    return resolved
