"""How long a list of many stored calls takes: `python bench/calls_search.py [--calls 100000] [--out TABLE.md]`.

Calls are written in bulk into the store's own tables and index, then listed through `CallStore.page`, as the api does.
Each query is asked once for the first time and then twenty times more; the time is the caller's. `--url` names an empty
database of a PostgreSQL server. Its text index is built after the calls were written, and its tables are analysed, as
autovacuum does.
"""

import argparse
import asyncio
import datetime as dt
import json
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, insert, select

from chammal_api.calls.database import Database
from chammal_api.calls.records import CallQuery
from chammal_api.calls.rows import healing_columns
from chammal_api.calls.store import CallStore
from chammal_api.calls.tables import calls, stages, texts, verdicts
from chammal_contracts.calls import CallStatus, Healing
from chammal_contracts.checks import ProductType, Verdict
from chammal_contracts.stages import Stage, StageReport, StageStatus

LIMIT_MS = 200
AGAIN = 20
BATCH = 1000
WRITING_SECONDS = 600.0
"""For a batch, or the index."""
SHOWN = 50
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ELEMENTS = [f"EL-{number:02}" for number in range(24)]
RARE = "흑해오소리"
PHRASES = (
    "안녕하세요 고객님 참말금융 상담원입니다",
    "지금 통화 가능하신가요",
    "이 상품은 원금 손실이 발생할 수 있습니다",
    "보험 기간은 이십 년이고 해약환급금이 납입하신 보험료보다 적을 수 있습니다",
    "연체하시면 연체이자율이 적용되고 신용 점수에 영향을 줍니다",
    "청약 철회는 십오 일 안에 하실 수 있습니다",
    "네 이해했습니다",
    "그런데 수수료는 얼마나 되나요",
    "수수료는 연 일 점 오 퍼센트입니다",
    "예금자보호법에 따라 오천만 원까지 보호됩니다",
    "다음 주에 다시 전화 주시겠어요",
    "주소가 바뀌었는데 어떻게 해야 하나요",
    "민원이나 분쟁이 있으시면 고객센터로 연락해 주십시오",
    "위험 등급은 삼 등급입니다",
    "중도 상환 수수료는 없습니다",
    "제가 설명드린 내용을 이해하셨나요",
)


def words(rng: random.Random, number: int) -> str:
    """About 600 characters, with something in it that few other calls have."""
    said = rng.choices(PHRASES, k=24)
    said[5] += f" 계약 번호는 {rng.randrange(10**8):08} 입니다"
    said[9] = "".join(chr(0xAC00 + rng.randrange(11172)) for _ in range(12))
    if number % 1000 == 0:
        said[11] += f" {RARE}"
    return "\n".join(said)


def fill(connection: Connection, database: Database, rng: random.Random, first: int, many: int) -> None:
    if not database.is_sqlite:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")  # no look for each row's call
    reports = {
        stage: StageReport(stage=stage, status=StageStatus.OK, backend="vllm").model_dump_json() for stage in Stage
    }
    numbers = range(first, first + many)
    said = {number: words(rng, number) for number in numbers}
    kinds = tuple(ProductType)
    connection.execute(insert(calls), [_call(number, rng, kinds) for number in numbers])
    connection.execute(insert(texts), [{"seq": number, "text": said[number]} for number in numbers])
    for number in numbers:
        database.index.add(connection, number, said[number])
    answers = [
        {"seq": number, "stage": stage, "run": 1, "report": reports[stage], "digest": "-", "value": value}
        for number in numbers
        for stage, value in (
            (Stage.STT, json.dumps({"utterances": said[number].split("\n")})),
            (Stage.ANALYSIS, json.dumps({"elements": ELEMENTS * 4})),
            (Stage.SUMMARY, "{}"),
        )
    ]
    connection.execute(insert(stages), answers)
    found = [
        {"seq": number, "element": element, "verdict": verdict}
        for number in numbers
        for element, verdict in zip(ELEMENTS, rng.choices(tuple(Verdict), (60, 5, 10, 1, 20, 4), k=24), strict=True)
    ]
    connection.execute(insert(verdicts), found)


def _call(number: int, rng: random.Random, kinds: Sequence[ProductType]) -> dict[str, Any]:
    moment = START + dt.timedelta(minutes=number)
    return {
        "seq": number,
        "id": f"call-{number}",
        "status": CallStatus.PARTIAL if number % 50 == 0 else CallStatus.COMPLETE,
        "revision": 1,
        "created_at": moment,
        "updated_at": moment,
        "happened_at": moment,
        "change": number,
        "finished_run": 1,
        "submitted_run": 1,
        "metadata": "{}",
        "priority": "batch",
        "sha256": f"{number:064x}",
        "recording": "{}",
        "agent_id": f"agent-{rng.randrange(200)}",
        "product_type": rng.choice(kinds),
        "score": rng.randrange(100),
        "sentence": "고객이 상품을 문의하고 상담원이 설명했다.",
        **healing_columns(Healing()),
    }


def drop_index(connection: Connection) -> None:
    connection.exec_driver_sql("DROP INDEX IF EXISTS calls_by_gram")


def build_index(connection: Connection) -> None:
    connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS calls_by_gram ON call_grams USING gin (grams)")
    connection.exec_driver_sql("ANALYZE")


QUERIES = {
    "newest, no filter": CallQuery(),
    "`보험`: in most calls": CallQuery(text="보험"),
    "`해약환급금이 납입하신`: in most calls": CallQuery(text="해약환급금이 납입하신"),
    f"`{RARE}`: in one of 1,000": CallQuery(text=RARE),
    "`없는말씀`: nowhere": CallQuery(text="없는말씀"),
    "`퍼`: one character": CallQuery(text="퍼"),
    "`\"OR* '%;`: operators, nowhere": CallQuery(text="\"OR* '%;"),
    "`보험`, status partial": CallQuery(text="보험", status=CallStatus.PARTIAL),
    "`보험`, status failed: nowhere": CallQuery(text="보험", status=CallStatus.FAILED),
    "`보험`, EL-03 위반의심": CallQuery(text="보험", element="EL-03", verdict=Verdict.SUSPECTED),
    "EL-03 위반의심": CallQuery(element="EL-03", verdict=Verdict.SUSPECTED),
    "any element 위반의심": CallQuery(verdict=Verdict.SUSPECTED),
    "`수수료`, one agent, one month": CallQuery(
        text="수수료", agent_id="agent-7", since=START, until=START + dt.timedelta(days=30)
    ),
}


async def measure(store: CallStore, query: CallQuery) -> tuple[int, list[float], list[float]]:
    """Calls shown, and milliseconds of each time: of the caller and of the processor."""
    took, worked = [], []
    for _ in range(AGAIN + 1):
        began, spent = time.perf_counter(), time.process_time()
        page = await store.page(query, None, SHOWN)
        took.append((time.perf_counter() - began) * 1000)
        worked.append((time.process_time() - spent) * 1000)
    return len(page.calls), took, worked


def _load() -> str:
    return f"Meanwhile {os.getloadavg()[0]:.1f} processes wanted the {os.cpu_count()} cores of the machine."


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e6


async def _size(database: Database, folder: Path) -> str:
    if database.is_sqlite:
        return f"SQLite ({_megabytes(folder):,.0f} MB)"
    sizes = "SELECT pg_database_size(current_database()) / 1e6, current_setting('server_version')"
    size, version = await database.read(lambda connection: connection.exec_driver_sql(sizes).one())
    return f"PostgreSQL {version.split()[0]} ({size:,.0f} MB)"


async def run(many: int, folder: Path, url: str | None) -> tuple[str, bool]:
    path = folder / "calls.db"
    database = Database(url or f"sqlite:///{path}", seconds=WRITING_SECONDS)
    await database.open()
    store = CallStore(database)
    rng = random.Random(5)
    there = await database.read(lambda connection: connection.execute(select(func.count(calls.c.seq))).scalar_one())
    if url and there < many:
        await database.write(drop_index)
    for first in range(there + 1, many + 1, BATCH):
        size = min(BATCH, many + 1 - first)
        await database.write(lambda connection, f=first, s=size: fill(connection, database, rng, f, s))
    if url:
        await database.write(build_index)
    lines = [
        "| list | calls shown | first ms | median ms | slowest ms | processor ms, median |",
        "|---|---|---|---|---|---|",
    ]
    kept = True
    for name, query in QUERIES.items():
        shown, took, worked = await measure(store, query)
        median = sorted(took[1:])[AGAIN // 2]
        kept &= median < LIMIT_MS
        lines.append(
            f"| {name} | {shown} | {took[0]:.0f} | {median:.0f} | {max(took):.0f} | {sorted(worked)[AGAIN // 2]:.0f} |"
        )
        print(lines[-1], flush=True)
    kind = await _size(database, folder)
    await store.aclose()
    head = (
        f"# Listing stored calls\n\n`python bench/calls_search.py{' --url …' if url else ''}`: {many:,} calls of about"
        f" 600 characters and 24 verdicts each, {SHOWN} a page, {kind}. Each list is asked for {AGAIN + 1} times; the"
        f" limit is {LIMIT_MS} ms.\n{_load()}\n\n"
    )
    return head + "\n".join(lines) + "\n", kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--url", help="PostgreSQL instead of SQLite")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--folder", type=Path, help="keeps the database there, and goes on with one that is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, kept = asyncio.run(run(options.calls, options.folder or Path(folder), options.url))
    print(table)
    if options.out:
        options.out.write_text(table, encoding="utf-8")
    if not kept:
        raise SystemExit(f"a list took more than {LIMIT_MS} ms")


if __name__ == "__main__":
    main()
