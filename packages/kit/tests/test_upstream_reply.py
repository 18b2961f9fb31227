import contextlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chammal_contracts.stages import FailureType
from chammal_kit.upstream_errors import UpstreamError, parse_retry_after
from chammal_kit.upstream_reply import Reply, read_json


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a": 1} tail',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1E+0999}',
        b"9" * 400 + b".0",
        b"9" * 5000,
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'"\\ud800"',
        b'"\xff"',
    ],
    ids=lambda body: repr(body[:16]),
)
def test_json_that_would_do_harm_later_is_an_invalid_response(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        Reply("llm", 200, {}, body, None).json()
    assert caught.value.failure is FailureType.INVALID_RESPONSE


def test_large_numbers_that_are_finite_and_text_that_looks_like_them_pass() -> None:
    assert read_json(b'{"a": 1e300, "b": "1e999", "c": 1e-999}') == {"a": 1e300, "b": "1e999", "c": 0.0}


@given(st.binary())
def test_no_bytes_raise_anything_but_value_error(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        read_json(body)


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, None), ("7", 7.0), (" 120 ", 120.0), ("soon", None), ("-1", None), ("٣", None)]
)
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds


def test_retry_after_as_a_date_never_is_negative() -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    future = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert parse_retry_after(past) == 0.0
    assert 3500 < (parse_retry_after(future) or 0) <= 3600
