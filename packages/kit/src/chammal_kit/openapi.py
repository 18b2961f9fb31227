"""The OpenAPI document tells what errors look like: all of them are one shape, and none is FastAPI's own."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from chammal_contracts.errors import PROBLEM_MEDIA_TYPE, ProblemBody

_SCHEMA = {"$ref": f"#/components/schemas/{ProblemBody.__name__}"}
_FASTAPIS = ("HTTPValidationError", "ValidationError")


def describe_errors(app: FastAPI) -> None:
    """Every operation may answer a problem, whatever else it lists."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _describe(generate())
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]


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


def _describe(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            responses: dict[str, Any] = operation["responses"]
            for status, response in list(responses.items()):
                content: dict[str, Any] = response.get("content", {})
                schema = content.get("application/json", {}).get("schema", {})
                if schema.get("$ref", "").endswith(f"/{_FASTAPIS[0]}"):
                    del responses[status]
                elif schema == _SCHEMA:
                    content[PROBLEM_MEDIA_TYPE] = content.pop("application/json")
            responses["default"] = {
                "description": "What went wrong, and what to do.",
                "content": {PROBLEM_MEDIA_TYPE: {"schema": _SCHEMA}},
            }
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FASTAPIS:
        schemas.pop(name, None)
    described = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= described.pop("$defs") | {ProblemBody.__name__: described}
    document["components"]["schemas"] = dict(sorted(schemas.items()))
