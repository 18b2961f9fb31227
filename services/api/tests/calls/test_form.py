import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from chammal_api.calls.form import MAX_FIELDS, read_form
from chammal_api.calls.incoming import Incoming
from chammal_api.calls.recordings import Recordings
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

pytestmark = pytest.mark.anyio

SOUND = b"RIFF\x00\x00\x00\x00WAVE" + bytes(range(256)) * 20
LIMIT = 1000


def written(parts: list[tuple[str, bytes]], boundary: str = "b") -> bytes:
    """`parts`: the parameters of a Content-Disposition, and what the part holds."""
    lines = [
        f"--{boundary}\r\nContent-Disposition: form-data; {told}\r\n\r\n".encode() + data + b"\r\n"
        for told, data in parts
    ]
    return b"".join(lines) + f"--{boundary}--\r\n".encode()


def request(body: bytes, chunk: int = 1 << 16, content_type: str = "multipart/form-data; boundary=b") -> Request:
    async def messages() -> AsyncIterator[Message]:
        for start in range(0, len(body), chunk):
            yield {"type": "http.request", "body": body[start : start + chunk], "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    return Request(
        {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode())]},
        messages().__anext__,  # type: ignore[arg-type]
    )


@pytest.fixture
def read(recordings: Recordings) -> Callable[..., Awaitable[dict[str, str | bytes]]]:
    """Gives the form, with what was kept of its file."""

    async def run(sent: Request) -> dict[str, str | bytes]:
        with ExitStack() as stack:
            items = await read_form(
                sent,
                LIMIT,
                lambda name, filename: stack.enter_context(closing(recordings.coming(1 << 20, filename=filename))),
            )
            return {
                name: recordings.path(await value.keep()).read_bytes() if isinstance(value, Incoming) else value
                for name, value in items
            }

    return run


Read = Callable[[Request], Awaitable[dict[str, str | bytes]]]
FORM = written(
    [
        ('name="before"', "앞".encode()),
        ('name="file"; filename="통화.wav"', SOUND),
        ('name="after"', b"--b\r\n"),
        ('name="empty"', b""),
    ]
)


@pytest.mark.parametrize("chunk", [1, 7, 1000, 1 << 16])
async def test_fields_may_stand_before_and_after_the_file_and_come_in_any_pieces(read: Read, chunk: int) -> None:
    body = FORM.replace(b"--b\r\n\r\n--b", b"--c\r\n\r\n--b")
    assert await read(request(body, chunk)) == {"before": "앞", "file": SOUND, "after": "--c\r\n", "empty": ""}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--b", b"\r\n--", b"x"]), min_size=1, max_size=60), st.integers(1, 9)
)
async def test_what_resembles_a_boundary_is_part_of_the_recording(read: Read, crumbs: list[bytes], chunk: int) -> None:
    sound = b"".join(crumbs)
    boundary = "-- not within --"
    body = written([('name="file"; filename="a"', sound)], boundary)
    told = f'multipart/form-data; boundary="{boundary}"'
    assert await read(request(body, chunk, told)) == {"file": sound}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (FORM[:-6], "multipart/form-data; boundary=b"),
        (FORM[: FORM.index(SOUND) + 500], "multipart/form-data; boundary=b"),
        (b"", "multipart/form-data; boundary=b"),
        (b"nonsense", "multipart/form-data; boundary=b"),
        (FORM, "multipart/form-data"),
        (FORM, "multipart/form-data; boundary="),
        (FORM, f"multipart/form-data; boundary={'b' * 5000}"),
        (FORM, "multipart/form-data; boundary=other"),
        (FORM.replace(b'name="before"', b""), "multipart/form-data; boundary=b"),
        (written([('name="text"', b"x" * (LIMIT + 1))]), "multipart/form-data; boundary=b"),
        (written([(f'name="t{n}"', b"x" * (LIMIT // 2)) for n in range(3)]), "multipart/form-data; boundary=b"),
        (written([('name="text"', b"")] * (MAX_FIELDS + 1)), "multipart/form-data; boundary=b"),
        (written([('name="file"; filename="a"', SOUND)] * 2), "multipart/form-data; boundary=b"),
    ],
)
async def test_a_form_that_cannot_be_read_leaves_nothing(
    recordings: Recordings, read: Read, body: bytes, content_type: str
) -> None:
    with pytest.raises(Problem) as problem:
        await read(request(body, 100, content_type))
    assert (problem.value.status, problem.value.code) == (400, ErrorCode.INVALID_REQUEST)
    assert list(recordings.incoming.iterdir()) == []
    assert recordings._coming == 0


async def test_nothing_is_left_of_a_sender_who_goes(recordings: Recordings, read: Read) -> None:
    sent = request(FORM[: len(FORM) // 2], 100)
    whole = sent.receive

    async def receive() -> Message:
        message = await whole()
        return message if message["more_body"] else {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await read(Request(sent.scope, receive))
    assert list(recordings.incoming.iterdir()) == []


async def test_a_field_in_another_encoding_is_read_as_latin_1(read: Read) -> None:
    assert await read(request(written([('name="a"', b"\xe9")]))) == {"a": "é"}


async def test_a_recording_is_hashed_once_while_it_comes(
    recordings: Recordings, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[int] = []
    made = hashlib.sha256

    class Counted:
        def __init__(self) -> None:
            self._digest = made()

        def update(self, data: bytes) -> None:
            hashed.append(len(data))
            self._digest.update(data)

        def hexdigest(self) -> str:
            return self._digest.hexdigest()

    monkeypatch.setattr("chammal_api.calls.incoming.hashlib.sha256", Counted)
    await read(request(FORM, 1000))
    assert sum(hashed) == len(SOUND)
