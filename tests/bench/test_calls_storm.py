"""A storm in which a call is lost, doubled, mixed up or left undone must not pass."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from bench.calls_storm import Sent, faults_of, heard_by_call, in_turn, try_to_send
from bench.clips import PHRASES, Clips


def call(number: int, **changed: Any) -> dict[str, Any]:
    whole = {
        "id": f"id-{number}",
        "status": "complete",
        "metadata": {"reference": str(number)},
        "stages": [{"status": "ok"}] * 3,
        "transcript": {"utterances": [{"text": PHRASES[number]}]},
    }
    return whole | changed


def sent(count: int) -> Sent:
    return Sent({number: f"id-{number}" for number in range(count)})


def found(*calls: dict[str, Any]) -> dict[str, int]:
    return {what: count for what, count in faults_of(2, sent(2), list(calls)).items() if count}


def test_calls_that_are_whole_and_there_once_have_no_fault() -> None:
    assert found(call(0), call(1)) == {}


def test_a_call_that_is_missing_is_lost() -> None:
    assert found(call(0)) == {"calls lost": 1, "ids that were told and are not there": 1}


def test_two_calls_of_one_recording_are_one_too_many() -> None:
    assert found(call(0), call(1), call(1, id="id-2")) == {"calls there twice": 1}


@pytest.mark.parametrize("changed", [{"status": "partial"}, {"stages": [{"status": "ok"}, {"status": "dummy"}]}])
def test_a_call_without_a_stage_is_not_whole(changed: dict[str, Any]) -> None:
    assert found(call(0), call(1, **changed)) == {"calls that are not whole": 1}


def test_a_call_with_what_another_said_is_noticed() -> None:
    mixed_up = call(1, transcript={"utterances": [{"text": PHRASES[0]}]})
    assert found(call(0), mixed_up) == {"calls with the transcript of another recording": 1}


def test_transcripts_are_counted_over_a_log_that_a_kill_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "stt.log"
    said, told = {"message": "Transcript: a"}, {"message": "POST 200"}
    lines = [json.dumps(line | {"request_id": "one"}) for line in (said, told, said)]
    log.write_text("\n".join([lines[0], '{"message": "Transc', *lines[1:]]))
    assert heard_by_call(log) == {"one": 2}


def test_every_number_comes_once() -> None:
    assert list(in_turn(3)) == [0, 1, 2]


@pytest.mark.parametrize(("status", "wait"), [(429, 7.0), (503, 7.0), (202, 0.0)])
def test_a_refusal_is_waited_out_as_long_as_the_api_asks(status: int, wait: float) -> None:
    answer = httpx2.Response(status, json={"id": "id-0", "repeated": False}, headers={"Retry-After": "7"})
    told = Sent()
    with httpx2.Client(base_url="http://api", transport=httpx2.MockTransport(lambda request: answer)) as client:
        assert try_to_send(client, 0, Clips(str.encode), told) == wait
    assert (told.ids == {0: "id-0"}) is (status == 202)
