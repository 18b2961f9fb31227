"""Short calls accepted while stt, the llm-gateway, a worker and the api are killed: `python -m bench.calls_storm`.

    [--calls 1000] [--minutes 4] [--every 4] [--seed 7] [--models-dir models] [--database-url …] [--keep FOLDER]

All four are real, are killed with SIGKILL, one at random every few seconds, and started again. The api and the worker
both analyse, and share SQLite or an empty database of PostgreSQL. stt hears two seconds of speech with whisper-tiny.en;
only the language model behind the gateway is a stand-in. The calls are sent evenly over the minutes; few may wait, so
that 429 is met too, and what was not accepted is repeated with the same Idempotency-Key. It passes when every call ends
complete, with the transcript of its own recording, none is there twice, none is lost, and no process ended but by our
hand.
"""

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from bench.clips import PHRASES, Clips, is_of
from bench.mesh import Mesh
from bench.options import add_models

KILLED = ("stt", "llm-gateway", "worker", "api")
SENDERS = 16
SLOTS, ANSWER_SECONDS = 16, 0.02
"""Of the language model's stand-in."""
WAITING = 20
"""Calls that may wait: what a few seconds without stt bring."""
CALM_SECONDS = 300.0
"""For what is left to be done after the last kill."""
UNENDED = ("queued", "running", "partial")
SETTINGS = {
    "CHAMMAL_STT_MODEL": "whisper-tiny.en",
    "CHAMMAL_STT_LANGUAGE": "en",
    "CHAMMAL_STT_LOG_TEXT": "true",
    "CHAMMAL_LOG_FORMAT": "json",
    "CHAMMAL_API_LANGUAGE": "en",
    "CHAMMAL_API_CALLS_AT_ONCE": "4",
    "CHAMMAL_API_MAX_QUEUED_CALLS": str(WAITING),
    "CHAMMAL_API_HEAL_PER_MINUTE": "1200",
    "CHAMMAL_API_HEAL_LONGEST_SECONDS": "20",
    "CHAMMAL_API_BREAKER_OPEN_SECONDS": "1",
}


@dataclass
class Sent:
    """What the senders were told."""

    ids: dict[int, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)


@dataclass
class Kills:
    struck: list[tuple[float, str]] = field(default_factory=list)
    """Seconds since the storm began, and whom."""
    fell: Counter[str] = field(default_factory=Counter)
    """Found dead before they were struck."""

    @property
    def counts(self) -> Counter[str]:
        return Counter(name for _, name in self.struck)


@dataclass(frozen=True)
class Pace:
    between: float
    """Seconds from one call to the next, and below from one kill to the next, on average."""
    kills_between: float
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began


def send(api: str, numbers: Iterator[int], pace: Pace, clips: Clips, sent: Sent, calm: threading.Event) -> None:
    with httpx2.Client(base_url=api, timeout=30, trust_env=False) as client:
        for number in numbers:
            calm.wait(number * pace.between - pace.seconds)
            while number not in sent.ids and not calm.is_set():
                calm.wait(try_to_send(client, number, clips, sent))


def try_to_send(client: httpx2.Client, number: int, clips: Clips, sent: Sent) -> float:
    """Returns how long to wait before the next."""
    try:
        answer = client.post(
            "/v1/calls",
            files={"file": (f"{number}.wav", clips.recording(number))},
            data={"product_type": "투자성", "reference": str(number)},
            headers={"Idempotency-Key": f"storm-{number}"},
        )
    except httpx2.HTTPError:
        sent.answers["none"] += 1
        return 0.3
    if answer.status_code != 202:
        sent.answers[str(answer.status_code)] += 1
        return float(answer.headers.get("Retry-After", 0.5))
    told = answer.json()
    sent.answers["202, of a call that it had already" if told["repeated"] else "202"] += 1
    sent.ids[number] = told["id"]
    return 0.0


def rage(mesh: Mesh, pace: Pace, chance: random.Random, calm: threading.Event, kills: Kills) -> None:
    while not calm.wait(chance.uniform(0.5, 1.5) * pace.kills_between):
        name = chance.choice(KILLED)
        kills.fell[name] += not mesh.alive(name)
        mesh.kill(name)
        kills.struck.append((pace.seconds, name))
        calm.wait(chance.uniform(0.1, 1.0))
        mesh.launch(name)


def storm(mesh: Mesh, calls: int, pace: Pace, chance: random.Random, clips: Clips) -> tuple[Sent, Kills]:
    """Until all calls are accepted."""
    sent, kills, calm = Sent(), Kills(), threading.Event()
    numbers = in_turn(calls)
    with ThreadPoolExecutor(SENDERS + 1) as threads:
        senders: list[Future[None]] = [
            threads.submit(send, mesh.url("api"), numbers, pace, clips, sent, calm) for _ in range(SENDERS)
        ]
        killer = threads.submit(rage, mesh, pace, chance, calm, kills)
        try:
            while not all(sender.done() for sender in senders) and not killer.done():
                time.sleep(1)
                print(f"\r{len(sent.ids)} accepted, {len(kills.struck)} kills", end="", file=sys.stderr, flush=True)
        finally:
            print(file=sys.stderr)
            calm.set()
        for done in (killer, *senders):
            done.result()
    return sent, kills


def in_turn(count: int) -> Iterator[int]:
    """For several threads: a generator allows but one."""
    lock, numbers = threading.Lock(), iter(range(count))

    def take() -> int:
        with lock:
            return next(numbers, -1)

    return iter(take, -1)


def settle(client: httpx2.Client) -> None:
    """Until no call is left to be done, or it takes too long."""
    give_up = time.monotonic() + CALM_SECONDS
    while time.monotonic() < give_up:
        with suppress(httpx2.HTTPError):
            if not any(page(client, status=status, limit=1)["calls"] for status in UNENDED):
                return
        time.sleep(1)


def page(client: httpx2.Client, **query: str | int) -> dict[str, Any]:
    answer = client.get("/v1/calls", params=query)
    answer.raise_for_status()
    told: dict[str, Any] = answer.json()
    return told


def all_calls(client: httpx2.Client) -> list[dict[str, Any]]:
    """Whole, with their transcripts."""
    found: list[dict[str, Any]] = []
    query: dict[str, str | int] = {"limit": 200}
    while True:
        told = page(client, **query)
        found += [client.get(f"/v1/calls/{row['id']}").raise_for_status().json() for row in told["calls"]]
        if told["next"] is None:
            return found
        query["cursor"] = told["next"]


def is_whole(call: dict[str, Any]) -> bool:
    return call["status"] == "complete" and [report["status"] for report in call["stages"]] == ["ok"] * 3


def is_mixed_up(call: dict[str, Any]) -> bool:
    heard = " ".join(utterance["text"] for utterance in (call["transcript"] or {}).get("utterances", []))
    return call["transcript"] is not None and not is_of(int(call["metadata"]["reference"]), heard)


def heard_by_call(log: Path) -> Counter[str]:
    """Transcripts that stt finished, by the call that asked; its log outlives it."""
    found: Counter[str] = Counter()
    for line in log.read_text(errors="replace").splitlines():
        with suppress(ValueError):  # the last line of a process that was killed
            told = json.loads(line)
            found[told["request_id"]] += told["message"].startswith("Transcript: ")
    return found


def faults_of(wanted: int, sent: Sent, calls: list[dict[str, Any]]) -> dict[str, int]:
    """What must not be, and how often it is."""
    references = Counter(call["metadata"]["reference"] for call in calls)
    return {
        "calls that are not whole": sum(not is_whole(call) for call in calls),
        "calls with the transcript of another recording": sum(map(is_mixed_up, calls)),
        "calls lost": sum(str(number) not in references for number in range(wanted)),
        "ids that were told and are not there": len({*sent.ids.values()} - {call["id"] for call in calls}),
        "calls there twice": sum(count - 1 for count in references.values()),
    }


def report(mesh: Mesh, wanted: int, sent: Sent, kills: Kills, calls: list[dict[str, Any]]) -> bool:
    heard = heard_by_call(mesh.log("stt"))
    fallen = kills.fell + Counter(name for name in KILLED if not mesh.alive(name))
    faults = faults_of(wanted, sent, calls) | {"processes that ended by themselves": fallen.total()}
    ends = Counter((call["status"], call["healing"]["state"], call["revision"]) for call in calls)
    tries = [call["healing"]["attempts"] for call in calls if call["healing"]["state"] == "healed"]
    print("| what | number |\n|---|---|")
    for name in KILLED:
        print(f"| SIGKILL of {name} | {kills.counts[name]} |")
    for told, count in sorted(sent.answers.items()):
        print(f"| answers of POST /v1/calls: {told} | {count} |")
    for (status, healing, revision), count in sorted(ends.items()):
        print(f"| ended {status}, healing {healing}, revision {revision} | {count} |")
    print(f"| attempts that a healed call took, most | {max(tries, default=0)} |")
    print(
        f"| transcripts that stt finished for a call that had one | {sum(max(0, heard[c['id']] - 1) for c in calls)} |"
    )
    for what, count in faults.items():
        print(f"| {what} | {count} |")
    print("\nKilled, by second:", ", ".join(f"{second:.0f} {name}" for second, name in kills.struck) + ".")
    return not any(faults.values())


def run(folder: Path, told: argparse.Namespace) -> bool:
    settings = {
        **SETTINGS,
        "CHAMMAL_MODELS_DIR": str(told.models_dir),
        "CHAMMAL_API_DATA_DIR": str(folder / "data"),
        **({"CHAMMAL_API_DATABASE_URL": told.database_url} if told.database_url else {}),
    }
    mesh = Mesh(folder, settings, slots=SLOTS, answer_seconds=ANSWER_SECONDS)
    with ExitStack() as stack:
        stack.callback(mesh.stop)
        mesh.start("model", "tts")
        clips = Clips(lambda phrase: mesh.spoken(phrase, "pcm"))
        mesh.kill("tts")
        mesh.start(*KILLED)
        client = stack.enter_context(httpx2.Client(base_url=mesh.url("api"), timeout=30, trust_env=False))
        if page(client, limit=1)["calls"]:
            raise SystemExit("the database holds calls already")
        pace = Pace(told.minutes * 60 / told.calls, told.every)
        sent, kills = storm(mesh, told.calls, pace, random.Random(told.seed), clips)
        stormed = pace.seconds
        settle(client)
        left = pace.seconds - stormed
        where = "PostgreSQL" if told.database_url else "SQLite"
        machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {where}"
        print(f"{machine}; recordings of {clips.seconds / len(PHRASES):.1f} s on average.")
        print(f"The storm took {stormed:.0f} s, what was left {left:.0f} s.\n")
        return report(mesh, told.calls, sent, kills, all_calls(client))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--calls", type=int, default=1000)
    arguments.add_argument("--minutes", type=float, default=4.0, help="of the storm, over which the calls are sent")
    arguments.add_argument("--every", type=float, default=4.0, help="seconds from one kill to the next, on average")
    arguments.add_argument("--seed", type=int, default=7)
    add_models(arguments)
    arguments.add_argument("--database-url", help="PostgreSQL without calls; unset, SQLite")
    arguments.add_argument("--keep", type=Path, help="an empty folder for data and logs, which stay there")
    told = arguments.parse_args()
    with ExitStack() as stack:
        folder = told.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        sys.exit(0 if run(folder, told) else 1)


if __name__ == "__main__":
    main()
