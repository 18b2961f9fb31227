"""The api's calls, as a command sees them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from chammal.settings import UpSettings
from chammal_contracts.calls import Call, CallAccepted, CallEvent, CallMetadata, CallPage
from chammal_contracts.errors import ProblemBody

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 600.0
TRIES = 5
"""Of a request that got no answer, or 502, 503 or 504."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
_PASSING = frozenset({502, 503, 504})
_TOO_MANY = 429

T = TypeVar("T", bound=BaseModel)
Sleep = Callable[[float], Awaitable[None]]


class ApiError(Exception):
    """The api said no, and would say so again."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Unreachable(Exception):
    """There was no answer, however often it was asked."""


@dataclass(frozen=True)
class CallsClient:
    http: httpx2.AsyncClient
    sleep: Sleep = asyncio.sleep

    async def send(self, file: Path, metadata: CallMetadata, key: str) -> CallAccepted:
        """The same key and content again are the same call."""
        told = metadata.model_dump_json(exclude_defaults=True)

        async def post() -> httpx2.Response:
            with file.open("rb") as recording:
                return await self.http.post(
                    "/v1/calls",
                    files={"file": (file.name, recording)},
                    data={"metadata": told},
                    headers={"Idempotency-Key": key},
                )

        return _read(CallAccepted, await self._asked(post))

    async def get(self, call_id: str) -> Call:
        return _read(Call, await self._get(f"/v1/calls/{call_id}"))

    async def page(self, query: dict[str, str]) -> CallPage:
        return _read(CallPage, await self._asked(lambda: self.http.get("/v1/calls", params=query)))

    async def transcript(self, call_id: str, form: str) -> str:
        """`json`, `txt`, `srt` or `vtt`."""
        return (await self._get(f"/v1/calls/{call_id}/transcript.{form}")).text

    async def delete(self, call_id: str) -> None:
        await self._asked(lambda: self.http.delete(f"/v1/calls/{call_id}"))

    async def events(self, call_id: str | None) -> AsyncIterator[CallEvent]:
        """What changes from now on, of one call until it has ended, or of all."""
        path = f"/v1/calls/{call_id}/events" if call_id else "/v1/calls/events"
        try:
            async with self.http.stream("GET", path, timeout=httpx2.Timeout(CONNECT_SECONDS, read=60.0)) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    raise _refusal(answer)
                async for line in answer.aiter_lines():
                    if line.startswith("data:") and (event := _read_event(line.removeprefix("data:"))):
                        yield event
        except httpx2.HTTPError as error:
            raise Unreachable(f"The events broke off: {error or type(error).__name__}") from error

    async def _get(self, path: str) -> httpx2.Response:
        return await self._asked(lambda: self.http.get(path))

    async def _asked(self, ask: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
        """Asks again as the api wishes: 429 as often as it comes, a failure a few times."""
        failures = 0
        while True:
            try:
                answer = await ask()
            except httpx2.HTTPError as error:
                failures += 1
                if failures == TRIES:
                    told = str(error) or type(error).__name__
                    raise Unreachable(f"{self.http.base_url} does not answer: {told}") from error
                await self.sleep(_wait(failures))
                continue
            if answer.is_success:
                return answer
            failures += answer.status_code in _PASSING
            if answer.status_code != _TOO_MANY and (answer.status_code not in _PASSING or failures == TRIES):
                raise _refusal(answer)
            await self.sleep(_asked_wait(answer) or _wait(max(failures, 1)))


@asynccontextmanager
async def connected(url: str | None) -> AsyncIterator[CallsClient]:
    """To the api at `url`, or the one that `chammal up` starts here; with the key of CHAMMAL_API_KEY."""
    settings = UpSettings()
    headers = {"X-API-Key": settings.api_key.get_secret_value()} if settings.api_key else {}
    timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    base = (url or f"http://127.0.0.1:{settings.api_port}").rstrip("/")
    async with httpx2.AsyncClient(base_url=base, trust_env=False, timeout=timeout, headers=headers) as http:
        yield CallsClient(http)


def _read_event(data: str) -> CallEvent | None:
    try:
        return CallEvent.model_validate_json(data)
    except ValidationError:
        return None  # of a deleted call there is an id alone


def _wait(failures: int) -> float:
    return min(FIRST_WAIT * 2.0 ** (failures - 1), LONGEST_WAIT)


def _asked_wait(answer: httpx2.Response) -> float | None:
    told = answer.headers.get("retry-after", "")
    return min(float(told), LONGEST_WAIT) if told.isascii() and told.isdigit() else None


def _read(kind: type[T], answer: httpx2.Response) -> T:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError:
        raise ApiError(answer.status_code, f"{answer.url} is no api of Chammal, or one of another version.") from None


def _refusal(answer: httpx2.Response) -> ApiError:
    try:
        problem = ProblemBody.model_validate_json(answer.content)
    except ValidationError:
        return ApiError(answer.status_code, f"answered {answer.status_code}")
    return ApiError(answer.status_code, f"{problem.detail} ({problem.code})")
