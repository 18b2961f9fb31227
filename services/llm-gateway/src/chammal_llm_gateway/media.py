"""Addresses of images and sounds in messages. Some backends, vLLM among them, fetch what a caller names there."""

from collections.abc import Iterator
from typing import Any

from chammal_contracts.errors import ErrorCode
from chammal_kit.address import AddressError
from chammal_kit.egress import Egress
from chammal_kit.problems import Problem


def check_media(messages: list[dict[str, Any]], egress: Egress) -> None:
    """Raises Problem unless each address is a `data:` one or on the list."""
    for url in _addresses([message.get("content") for message in messages]):
        if not url.startswith("data:"):
            try:
                egress.admit(url)
            except AddressError as error:
                raise Problem(
                    422,
                    ErrorCode.INVALID_REQUEST,
                    f"An address in `messages`: {error} Send it as a data: URL. An operator adds addresses to "
                    "CHAMMAL_LLM_MEDIA_URLS.",
                ) from None


def _addresses(node: Any) -> Iterator[str]:
    """Of `{"image_url": {"url": …}}`, `{"video_url": …}`, `{"source": {"url": …}}` and the like."""
    pending = [node]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            for name, value in node.items():
                if isinstance(value, str) and (name == "url" or name.endswith("_url")):
                    yield value
                else:
                    pending.append(value)
