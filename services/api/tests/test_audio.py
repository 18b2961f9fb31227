import io

import pytest
from starlette.datastructures import Headers

from chammal_api.calls.audio import Part, audio_response, media_type_of, recognised, wanted_part
from chammal_contracts.calls import Recording
from chammal_contracts.errors import ErrorCode
from chammal_kit.problems import Problem

ETAG = '"abc"'
WHOLE = None


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ({}, WHOLE),
        ({"range": "bytes=0-"}, Part(0, 100)),
        ({"range": "bytes=10-19"}, Part(10, 20)),
        ({"range": "BYTES=10-19"}, Part(10, 20)),
        ({"range": "bytes=10-999"}, Part(10, 100)),
        ({"range": "bytes=-10"}, Part(90, 100)),
        ({"range": "bytes=-999"}, Part(0, 100)),
        ({"range": "bytes=19-10"}, WHOLE),
        ({"range": "bytes=0-1,5-6"}, WHOLE),
        ({"range": "bytes=a-b"}, WHOLE),
        ({"range": "bytes=١-٢"}, WHOLE),
        ({"range": "seconds=1-2"}, WHOLE),
        ({"range": "bytes=-"}, WHOLE),
        ({"range": "bytes=0-1", "if-range": ETAG}, Part(0, 2)),
        ({"range": "bytes=0-1", "if-range": '"other"'}, WHOLE),
        ({"range": "bytes=0-1", "if-range": f"W/{ETAG}"}, WHOLE),
        ({"range": "bytes=0-1", "if-range": "Wed, 21 Oct 2026 07:28:00 GMT"}, WHOLE),
        ({"range": "bytes=999-", "if-range": '"other"'}, WHOLE),
    ],
)
def test_a_range_is_read_as_the_rfc_says(told: dict[str, str], part: Part | None) -> None:
    assert wanted_part(_headers(told), 100, ETAG) == part


@pytest.mark.parametrize("told", ["bytes=100-", "bytes=-0", "bytes=999999999999999999-"])
def test_a_part_behind_the_end_is_told_how_long_the_recording_is(told: str) -> None:
    with pytest.raises(Problem) as refused:
        wanted_part(_headers({"range": told}), 100, ETAG)
    assert (refused.value.status, refused.value.code) == (416, ErrorCode.RANGE_NOT_SATISFIABLE)
    assert refused.value.headers == {"Content-Range": "bytes */100"}


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("audio/wav", "audio/wav"),
        ("Audio/X-WAV; charset=x", "audio/wav"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_only_types_of_audio_are_passed_on(sent: str | None, told: str) -> None:
    assert media_type_of(Recording(sha256="abc", bytes=1, media_type=sent)) == told


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        (b"ID3\x04", "audio/mpeg"),
        (b"OggS\x00", "audio/ogg"),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_a_recording_is_known_by_how_it_begins(head: bytes, kind: str | None) -> None:
    assert recognised(head) == kind


def test_a_head_has_the_headers_alone_and_every_end_closes_the_file() -> None:
    recording = Recording(sha256="abc", bytes=3, media_type="audio/wav")
    file = io.BytesIO(b"abc")
    answer = audio_response("HEAD", Headers(), recording, file, "call")
    assert (answer.headers["content-length"], answer.headers["etag"], bytes(answer.body)) == ("3", ETAG, b"")
    assert file.closed
    file = io.BytesIO(b"abc")
    with pytest.raises(Problem):
        audio_response("GET", _headers({"range": "bytes=9-"}), recording, file, "call")
    assert file.closed


def _headers(told: dict[str, str]) -> Headers:
    return Headers(raw=[(name.encode(), value.encode()) for name, value in told.items()])
