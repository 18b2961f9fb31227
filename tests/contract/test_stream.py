"""Live sessions with what their models allow and what they nearly allow, in any order, at stt and through the api."""

import os
import random
from collections import Counter

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from chammal_contracts.live import CLIENT_MESSAGE, SERVER_EVENT, CloseCode, Done, LiveError
from tests.contract.conftest import Services
from tests.contract.messages import broken_messages, messages

pytestmark = pytest.mark.model

EXAMPLES = int(os.environ.get("CHAMMAL_TEST_EXAMPLES", "15")) * 4
SEED = int(os.environ.get("CHAMMAL_TEST_SEED") or random.randrange(2**32))
FINISH = '{"type": "finish"}'
START = '{"type": "start", "sample_rate": 16000}'

CUT_OFF = 1006

Frame = str | bytes
audio = st.binary(max_size=6400) | st.integers(1, 3200).map(lambda count: b"\x00\x10" * count)
frames = st.one_of(messages(CLIENT_MESSAGE), audio, broken_messages(CLIENT_MESSAGE))
begun = st.builds(lambda rest: [START, *rest], st.lists(messages(CLIENT_MESSAGE) | audio, max_size=6))
sessions = st.lists(frames, max_size=6) | begun | st.lists(audio, max_size=4).map(lambda rest: [START, *rest])


def hold(url: str, said: list[Frame]) -> tuple[int, list[object]]:
    """The close code, and the events before it. `finish` comes last whatever came before it."""
    events: list[object] = []
    with connect(url.replace("http", "ws") + "/v1/stream", proxy=None, open_timeout=30, close_timeout=30) as socket:
        _send(socket, [*said, FINISH])
        try:
            while True:
                events.append(SERVER_EVENT.validate_json(socket.recv(timeout=60)))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else CUT_OFF, events


def _send(socket: ClientConnection, said: list[Frame]) -> None:
    try:
        for frame in said:
            socket.send(frame)
    except ConnectionClosed:  # the session may end before all is said
        pass


@pytest.mark.parametrize("service", ["stt", "api"])
def test_whatever_a_client_sends_a_session_ends_with_a_reason_and_every_event_fits_its_model(
    services: Services, service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = services[service]
    endings: Counter[CloseCode] = Counter()

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(said=sessions)
    def check(said: list[Frame]) -> None:
        code, events = hold(url, said)
        assert code in {CloseCode.FINISHED, CloseCode.INVALID, CloseCode.TOO_BIG}
        endings[CloseCode(code)] += 1
        if code == CloseCode.FINISHED:
            assert isinstance(events[-1], Done)
        elif code == CloseCode.INVALID:
            assert isinstance(events[-1], LiveError)
            assert events[-1].fatal

    check()
    with capsys.disabled():
        print(f"\n{service}: seed {SEED}, " + ", ".join(f"{count} x {code.name}" for code, count in endings.items()))
    assert endings[CloseCode.FINISHED]
    assert endings[CloseCode.INVALID]
    assert httpx2.get(f"{url}/ready", trust_env=False, timeout=60).status_code == 200


@pytest.mark.parametrize("service", ["stt", "api"])
def test_a_message_larger_than_is_taken_ends_the_session_with_the_reason(services: Services, service: str) -> None:
    for _ in range(5):
        assert hold(services[service], [START, bytes(3 << 20)])[0] == CloseCode.TOO_BIG
