"""The web pages: `/` lists calls, `/calls/{call_id}` is one call, both in the same document; `/talk` is a conversation.

Assets lie below an address that names their content, so that browsers keep them for ever, and modules that import one
another by relative names are always of one version. Nothing is looked up on the disk for a request.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No text becomes code: no inline script or style, and whoever assigns markup from a string gets an exception."""
MICROPHONE = "camera=(), geolocation=(), microphone=(self)"
"""Of Permissions-Policy, which otherwise forbids it."""
PAGES = ("page.html", "talk.html")
ASSETS = (
    "style.css",
    "icon.svg",
    "api.js",
    "badges.js",
    "banners.js",
    "call.js",
    "dialogs.js",
    "dom.js",
    "elements.js",
    "english.js",
    "events.js",
    "facts.js",
    "fields.js",
    "filters.js",
    "frame.js",
    "health.js",
    "korean.js",
    "language.js",
    "list.js",
    "main.js",
    "microphone.js",
    "mood.js",
    "player.js",
    "quotes.js",
    "realtime.js",
    "rules.js",
    "session.js",
    "speaker.js",
    "talk.css",
    "talk.js",
    "timings.js",
    "transcript.js",
    "turns.js",
    "uploads.js",
    "worklets.js",
)
ADDRESS = "/assets/{version}/{name}"

_MEDIA_TYPES = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}
_ASK_AGAIN = "no-cache"
_FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter()


@dataclass(frozen=True)
class Asset:
    content: bytes
    media_type: str
    etag: str


def _asset(name: str, content: bytes) -> Asset:
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Asset(content, f"{_MEDIA_TYPES[name.rpartition('.')[2]]}; charset=utf-8", etag)


def _read() -> tuple[str, dict[str, Asset], dict[str, Asset]]:
    folder = files("chammal_api") / "web"
    contents = {name: (folder / name).read_bytes() for name in ASSETS}
    version = hashlib.sha256(b"".join(hashlib.sha256(one).digest() for one in contents.values())).hexdigest()[:16]
    prefix = f"/assets/{version}".encode()
    pages = {name: _asset(name, (folder / name).read_bytes().replace(b"{{assets}}", prefix)) for name in PAGES}
    return version, {name: _asset(name, content) for name, content in contents.items()}, pages


VERSION, _FOUND, _PAGES = _read()


async def get_page(request: Request) -> Response:
    return _answer(request, _PAGES["page.html"], _ASK_AGAIN, {"Content-Security-Policy": PAGE_POLICY})


async def get_talk(request: Request) -> Response:
    headers = {"Content-Security-Policy": PAGE_POLICY, "Permissions-Policy": MICROPHONE}
    return _answer(request, _PAGES["talk.html"], _ASK_AGAIN, headers)


async def get_asset(request: Request) -> Response:
    """One of another version is what a page of a neighbour asks for, during an upgrade: the present one will do."""
    asset = _FOUND.get(request.path_params["name"])
    if asset is None:
        raise Problem(404, ErrorCode.NOT_FOUND, "There is no such part of the page.")
    return _answer(request, asset, _FOR_EVER if request.path_params["version"] == VERSION else _ASK_AGAIN)


def _answer(request: Request, asset: Asset, kept: str, more: dict[str, str] | None = None) -> Response:
    headers = {"ETag": asset.etag, "Cache-Control": kept, **(more or {})}
    if _has_it(request.headers, asset):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


def _has_it(headers: Headers, asset: Asset) -> bool:
    sent = [one.strip().removeprefix("W/") for one in headers.get("if-none-match", "").split(",")]
    return asset.etag in sent or "*" in sent


router.add_route("/", get_page, include_in_schema=False)
router.add_route("/calls/{call_id}", get_page, include_in_schema=False)
router.add_route("/talk", get_talk, include_in_schema=False)
router.add_route(ADDRESS, get_asset, include_in_schema=False)
