"""Calls accepted while stt, the gateway, a worker and the api are killed: `python -m bench.calls_storm [--calls 1000]`.

Processes are killed with SIGKILL, one at random every few seconds, and started again. The api and the worker are real
and share SQLite; stt and the llm-gateway are stand-ins (bench.calls_stand_ins), so that a thousand calls take minutes:
what is tried here is that calls survive, not how speech is heard. The sender repeats what was not answered, with the
same Idempotency-Key. It passes when every call ends complete, none is there twice and none is lost.
"""

import argparse
import contextlib
import itertools
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from bench.stt.machine import free_port

KILLED = ("stt", "llm-gateway", "worker", "api")
SENDERS = 4
CALM_SECONDS = 600.0
"""For what is left to be done after the last kill."""


@dataclass
class Storm:
    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in KILLED})
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)

    def start(self, name: str) -> None:
        if name in ("stt", "llm-gateway"):
            arguments = ["bench.calls_stand_ins", str(self.ports[name]), "0.1", str(self.folder / "heard.log")]
        else:
            arguments = ["chammal_api"]
        environment = {
            **os.environ,
            "CHAMMAL_API_PORT": str(self.ports.get(name, 0)),
            "CHAMMAL_API_STT_URL": self.url("stt"),
            "CHAMMAL_API_LLM_URL": self.url("llm-gateway"),
            "CHAMMAL_API_DATA_DIR": str(self.folder / "data"),
            "CHAMMAL_API_CALLS_AT_ONCE": "8",
            "CHAMMAL_API_HEAL_PER_MINUTE": "1200",
            "CHAMMAL_API_HEAL_LONGEST_SECONDS": "20",
            "CHAMMAL_API_BREAKER_OPEN_SECONDS": "1",
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments], env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()
        self.kills[name] += 1

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


def send(storm: Storm, numbers: Iterator[int], ids: dict[int, str], tries: Counter[str]) -> None:
    with httpx2.Client(base_url=storm.url("api"), timeout=30) as client:
        for number in numbers:
            while number not in ids:
                try:
                    answer = client.post(
                        "/v1/calls",
                        files={"file": (f"{number}.wav", b"RIFF" + number.to_bytes(4, "big") * 64)},
                        data={"product_type": "투자성", "reference": str(number)},
                        headers={"Idempotency-Key": f"storm-{number}"},
                    )
                except httpx2.HTTPError:
                    tries["unanswered"] += 1
                    time.sleep(0.3)
                    continue
                tries[str(answer.status_code)] += 1
                if answer.status_code == 202:
                    ids[number] = answer.json()["id"]
                else:
                    time.sleep(0.5)


def rage(storm: Storm, every: float, calm: threading.Event) -> None:
    chance = random.Random(7)
    while not calm.wait(chance.uniform(0.5 * every, 1.5 * every)):
        name = chance.choice(KILLED)
        storm.kill(name)
        calm.wait(chance.uniform(0.1, 1.0))
        storm.start(name)


def listed(storm: Storm) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    with httpx2.Client(base_url=storm.url("api"), timeout=30) as client:
        cursor = None
        while True:
            answer = client.get("/v1/calls", params={"limit": 200, **({"cursor": cursor} if cursor else {})})
            answer.raise_for_status()
            page = answer.json()
            rows += page["calls"]
            cursor = page["next"]
            if cursor is None:
                return rows


def settled(storm: Storm) -> list[dict[str, object]]:
    give_up = time.monotonic() + CALM_SECONDS
    rows: list[dict[str, object]] = []
    while time.monotonic() < give_up:
        with contextlib.suppress(httpx2.HTTPError):
            rows = listed(storm)
            if rows and all(row["status"] == "complete" for row in rows):
                return rows
        time.sleep(1)
    return rows


def report(storm: Storm, calls: int, ids: dict[int, str], tries: Counter[str], rows: list[dict[str, object]]) -> bool:
    heard = Counter((storm.folder / "heard.log").read_text().split())
    references = Counter(row["reference"] for row in rows)
    states = Counter((row["status"], row["healing"]) for row in rows)
    lost = sum(str(number) not in references for number in range(calls))
    twice = sum(count - 1 for count in references.values())
    print("| what | number |\n|---|---|")
    for name in KILLED:
        print(f"| SIGKILL of {name} | {storm.kills[name]} |")
    for told, count in sorted(tries.items()):
        print(f"| answers of POST /v1/calls: {told} | {count} |")
    print(f"| calls accepted | {len(set(ids.values()))} |")
    for (status, healing), count in sorted(states.items(), key=str):
        print(f"| ended {status}, healing {healing} | {count} |")
    print(f"| recordings that stt finished more than once | {sum(count > 1 for count in heard.values())} |")
    print(f"| calls lost | {lost} |\n| calls there twice | {twice} |")
    unfinished = sum(row["status"] != "complete" for row in rows)
    return not (lost or twice or unfinished) and len(set(ids.values())) == calls


def main() -> None:
    arguments = argparse.ArgumentParser(description="Calls accepted in a storm of kills.")
    arguments.add_argument("--calls", type=int, default=1000)
    arguments.add_argument("--every", type=float, default=4.0, help="seconds between kills, on average")
    arguments.add_argument("--kills", type=int, default=20, help="the storm goes on until so many")
    told = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(Path(folder))
        ids: dict[int, str] = {}
        tries: Counter[str] = Counter()
        calm = threading.Event()
        began = time.monotonic()
        try:
            for name in KILLED:
                storm.start(name)
            counter = itertools.count()
            numbers = iter(lambda: next(counter), told.calls)
            lock = threading.Lock()

            def guarded() -> Iterator[int]:
                while True:
                    with lock:
                        number = next(numbers, None)
                    if number is None:
                        return
                    yield number

            senders = [threading.Thread(target=send, args=(storm, guarded(), ids, tries)) for _ in range(SENDERS)]
            killer = threading.Thread(target=rage, args=(storm, told.every, calm))
            for thread in (*senders, killer):
                thread.start()
            for thread in senders:
                thread.join()
            while storm.kills.total() < told.kills:
                time.sleep(0.5)
            calm.set()
            killer.join()
            stormed = time.monotonic() - began
            rows = settled(storm)
            passed = report(storm, told.calls, ids, tries, rows)
            print(f"\nThe storm took {stormed:.0f} s, what was left {time.monotonic() - began - stormed:.0f} s.")
            if not passed:
                for name in KILLED:
                    tail = (storm.folder / f"{name}.log").read_text().splitlines()[-15:]
                    print(f"--- {name}", *tail, sep="\n", file=sys.stderr)
        finally:
            calm.set()
            storm.end()
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
