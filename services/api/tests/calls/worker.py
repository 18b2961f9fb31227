"""A process that analyses calls and is killed: run by test_killed.py, never imported.

worker.py DATA_DIR URL POINT [CALL_ID]     POINT: nowhere, or before|after:<step>; the process kills itself there
"""

import asyncio
import datetime as dt
import io
import os
import signal
import sys
from contextlib import aclosing
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from pydantic import SecretStr

import chammal_api.calls.flow as flow_module
from chammal_api.calls.healing import Closings
from chammal_api.calls.opening import Needs, open_calls
from chammal_api.calls.stages import CallStages
from chammal_api.calls.telling import Telling
from chammal_api.clients.agents import Agents
from chammal_api.clients.named_agent import NamedAgent
from chammal_api.outcome import Outcome
from chammal_api.settings import ApiSettings
from chammal_api.tally import Tally
from chammal_contracts.calls import CallMetadata, CallSummary, CallTranscript
from chammal_contracts.checks import CheckRequest, CheckResult, CheckStatus, CheckTotals, ProductType
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_kit.egress import Egress
from chammal_kit.upstream import Upstream, UpstreamPolicy


class OverHttp:
    """A checker and a summariser that each ask their service once."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def check(self, request: CheckRequest, agent: NamedAgent | None = None) -> Outcome[CheckResult]:
        await self._upstream.request("POST", "/check", json={})
        result = CheckResult(
            status=CheckStatus.COMPLETE, elements=[], totals=CheckTotals(), rule_set="none", rule_set_version="1"
        )
        return Outcome(result, StageReport(stage=Stage.ANALYSIS, status=StageStatus.OK))

    async def summarise(self, transcript: CallTranscript, agent: NamedAgent | None = None) -> Outcome[CallSummary]:
        await self._upstream.request("POST", "/summary", json={})
        summary = CallSummary(sentence="s", reason="r", actions="a")
        return Outcome(summary, StageReport(stage=Stage.SUMMARY, status=StageStatus.OK))


BESIDE = {"check": "summarise", "summarise": "check"}


def dies_after(step: str) -> None:
    """Its work is kept, and not yet noted as done. What runs beside it goes on until then."""
    owner: Any = Telling if step == "tell" else CallStages
    real = getattr(owner, step)

    async def deadly(*args: Any) -> None:
        await real(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    async def endless(*args: Any) -> None:
        await asyncio.Event().wait()

    setattr(owner, step, deadly)
    if step in BESIDE:
        setattr(owner, BESIDE[step], endless)


async def main(data_dir: Path, url: str, point: str, call_id: str | None) -> None:
    flow_module.POLL_SECONDS = 0.05
    if point != "nowhere":
        dies_after(point)
    settings = ApiSettings(
        data_dir=data_dir,
        webhook_urls=(f"{url}/hook",),
        webhook_networks=(IPv4Network("127.0.0.0/8"),),
        webhook_secret=SecretStr("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="),
        min_free_bytes=0,
    )
    policy, closings = UpstreamPolicy(), Closings()
    async with aclosing(Upstream("stt", url, policy)) as stt, aclosing(Upstream("llm", url, policy)) as llm:
        over = OverHttp(llm)
        agents = Agents(Egress(()), policy)
        needs = Needs(stt, llm, agents, over, over, tuple, Tally(), closings, policy, lambda: False)
        async with open_calls(settings, needs) as desk:
            if call_id:
                recording = await desk.recordings.keep(io.BytesIO(b"sound"), 1000)
                metadata = CallMetadata(product_type=ProductType.INVESTMENT, webhook_url=f"{url}/hook")
                await desk.store.accept(call_id, metadata, recording, idempotency=None, now=dt.datetime.now(dt.UTC))
            print("up", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None))
