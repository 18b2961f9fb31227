"""Reads a multipart form whose one file goes to its place as it comes. All else in it is small, and text."""

from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from chammal_api.calls.incoming import Incoming
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

Item = tuple[str, str | Incoming]
Begin = Callable[[str, str], Incoming]
"""Of the file's field and its name as they were sent."""
MAX_FIELDS = 32


async def read_form(request: Request, max_text_bytes: int, begin: Begin) -> list[Item]:
    """Raises Problem 400 invalid_request, and what `begin` and its Incoming raise; ClientDisconnect."""
    form = _Form(max_text_bytes, begin)
    parser = _parser(request.headers["content-type"], form)
    async for chunk in request.stream():
        try:
            parser.write(chunk)
        except FormParserError:
            raise unreadable("It is not multipart/form-data.") from None
        if form.file is not None and form.coming:
            await form.file.take(form.coming)
            form.coming.clear()
    if not form.ended:
        raise unreadable("It breaks off before its last boundary.")
    return form.items


def unreadable(why: str) -> Problem:
    return Problem(400, ErrorCode.INVALID_REQUEST, f"The form cannot be read: {why}")


def _parser(content_type: str, form: "_Form") -> MultipartParser:
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise unreadable("Its content type names no boundary.")
    try:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": form.part_begins,
                "on_header_field": form.header_named,
                "on_header_value": form.header_valued,
                "on_header_end": form.header_ends,
                "on_headers_finished": form.headers_end,
                "on_part_data": form.data_comes,
                "on_part_end": form.part_ends,
                "on_end": form.form_ends,
            },
        )
    except FormParserError:
        raise unreadable("Its boundary is too long.") from None


class _Form:
    """What the parser calls, part after part."""

    def __init__(self, max_text_bytes: int, begin: Begin) -> None:
        self.items: list[Item] = []
        self.file: Incoming | None = None
        self.coming: list[bytes | memoryview] = []
        """Of the file, since one last looked."""
        self.ended = False
        self._begin = begin
        self._text_left = max_text_bytes
        self._max_text = max_text_bytes

    def part_begins(self) -> None:
        self._header, self._value = bytearray(), bytearray()
        self._disposition = ""
        self._name, self._text = "", bytearray()
        self._is_file = False

    def header_named(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_valued(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_ends(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value.decode("latin-1")
        self._header, self._value = bytearray(), bytearray()

    def headers_end(self) -> None:
        told = parse_options_header(self._disposition)[1]
        if b"name" not in told:
            raise unreadable("A part of it has no name.")
        if len(self.items) == MAX_FIELDS:
            raise unreadable(f"It has more than {MAX_FIELDS} fields.")
        self._name = _read(told[b"name"])
        if b"filename" in told:
            if self.file is not None:
                raise unreadable("It has more than one file.")
            self._is_file = True
            self.file = self._begin(self._name, _read(told[b"filename"]))

    def data_comes(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.coming.append(memoryview(data)[start:end])
            return
        self._text_left -= end - start
        if self._text_left < 0:
            raise unreadable(f"Beside the recording it may have {self._max_text >> 10} KiB.")
        self._text += data[start:end]

    def part_ends(self) -> None:
        if self._is_file and self.file is not None:
            self.items.append((self._name, self.file))
        else:
            self.items.append((self._name, _read(self._text)))

    def form_ends(self) -> None:
        self.ended = True


def _read(sent: bytes | bytearray) -> str:
    try:
        return sent.decode()
    except UnicodeDecodeError:
        return sent.decode("latin-1")
