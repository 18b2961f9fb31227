"""Light, real traffic: one user of each endpoint, who asks, waits for the answer, thinks, and asks again."""

import asyncio
from collections.abc import Callable
from importlib.resources import files

import httpx2

from chammal.drill.answer import Answer, Endpoint, Outcome, Reading, cut_short, read, unanswered
from chammal.drill.scenario import Scenario
from chammal_contracts import headers as wire

FIRST_DEADLINE = 240.0
"""Until it is known how long a healthy answer takes here."""
LATEST_SECONDS = 5.0
"""How long after its deadline an answer is still awaited, to tell a late one from none."""
PAUSE_SECONDS = {Endpoint.TRANSCRIBE: 2.0, Endpoint.CHAT: 1.5, Endpoint.SPEECH: 2.0}
LONGEST_PAUSE_SECONDS = 30.0
FAILED_PAUSE_SECONDS = 0.5
_GREETING, _CALL = "greeting_ko.ogg", "call_ko.ogg"
"""3.5 s are enough to be transcribed. A small model has too little in them to judge, and rambles."""


class Users:
    """`now` gives seconds since the drill began. `told` gets every answer."""

    def __init__(
        self, api: httpx2.AsyncClient, scenario: Scenario, now: Callable[[], float], told: Callable[[Answer], None]
    ) -> None:
        self._api = api
        self._scenario = scenario
        self._now = now
        self._told = told
        sample = _CALL if scenario.drills_analysis else _GREETING
        self._recording = sample, files("chammal").joinpath("samples", sample).read_bytes()
        self.deadlines = dict.fromkeys(Endpoint, FIRST_DEADLINE)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as users:
            for endpoint in Endpoint:
                users.create_task(self._use(endpoint))

    async def _use(self, endpoint: Endpoint) -> None:
        while True:
            answer = await self.ask(endpoint)
            # whoever waited long for a whole answer thinks as long about it, so that slow machines are not overrun
            thinks = max(PAUSE_SECONDS[endpoint], min(answer.seconds, LONGEST_PAUSE_SECONDS))
            await asyncio.sleep(thinks if answer.outcome is Outcome.OK else FAILED_PAUSE_SECONDS)

    async def ask(self, endpoint: Endpoint) -> Answer:
        deadline, began = self.deadlines[endpoint], self._now()
        status, reading = await self._send(endpoint, deadline)
        answer = Answer(endpoint, began, self._now() - began, deadline, status, reading)
        self._told(answer)
        return answer

    async def _send(self, endpoint: Endpoint, deadline: float) -> tuple[int | None, Reading]:
        status = None
        try:
            async with asyncio.timeout(deadline + LATEST_SECONDS):
                response = await self._api.send(self._request(endpoint, deadline), stream=True)
                status = response.status_code
                try:
                    await response.aread()
                finally:
                    await response.aclose()
            return status, read(endpoint, response)
        except TimeoutError:
            return None, unanswered(f"nothing within {deadline + LATEST_SECONDS:.1f} s")
        except httpx2.TransportError as error:
            if status == 200:
                return status, cut_short(endpoint, error)
            return None, unanswered(str(error) or type(error).__name__)

    def _request(self, endpoint: Endpoint, deadline: float) -> httpx2.Request:
        headers = {wire.DEADLINE: f"{deadline:.1f}"}
        if endpoint is Endpoint.TRANSCRIBE:
            form = {"language": "ko", "incomplete_elements_check": str(self._scenario.drills_analysis).lower()}
            return self._api.build_request(
                "POST", "/transcribe", headers=headers, files={"file": self._recording}, data=form
            )
        if endpoint is Endpoint.CHAT:
            greeting = {"model": "default", "max_tokens": 8, "messages": [{"role": "user", "content": "안녕하세요"}]}
            return self._api.build_request("POST", "/v1/chat/completions", headers=headers, json=greeting)
        line = {"model": "tts-1", "voice": "alloy", "input": "감사합니다.", "response_format": "wav"}
        return self._api.build_request("POST", "/v1/audio/speech", headers=headers, json=line)
