"""One call: recording in, transcript and analysis out, each stage with its own report."""

from chammal_api.analysis import Analysis
from chammal_api.calls.masking import mask
from chammal_api.clients.agents import Agents
from chammal_api.clients.llm import LlmClient
from chammal_api.clients.stt import SttClient
from chammal_api.intake import CallRequest
from chammal_api.outcome import Outcome, after, skipped
from chammal_contracts.asr import Transcription
from chammal_contracts.stages import Stage, StageReport
from chammal_kit.logs import component_logger

stt_log = component_logger("STT")
agent_log = component_logger("AgentBackend")


class Pipeline:
    def __init__(self, stt: SttClient, llm: LlmClient, agents: Agents, *, masks: bool = True) -> None:
        """`masks`: numbers of persons are no part of what a language model or an agent is given."""
        self._stt = stt
        self._llm = llm
        self._agents = agents
        self._masks = masks

    async def run(self, call: CallRequest) -> tuple[Outcome[Transcription], Outcome[Analysis]]:
        """Raises Problem when the call itself is at fault; a failed stage is an outcome, not an exception."""
        heard = await self._stt.transcribe(call)
        if heard.failed:
            stt_log.error("no transcript: %s", _cause(heard.report))
            stt_log.warning("fall-back used: dummy transcript")
        return heard, await self._analyse(call, heard.value)

    async def _analyse(self, call: CallRequest, heard: Transcription | None) -> Outcome[Analysis]:
        if not call.wants_analysis:
            return skipped(Stage.ANALYSIS, "not asked for")
        if heard is None:
            return skipped(Stage.ANALYSIS, "no transcript")
        if not heard.text.strip():
            return skipped(Stage.ANALYSIS, "the transcript is empty: no speech was found")
        judged = await self._ask(call, mask(heard.text).text if self._masks else heard.text)
        if judged.failed:
            agent_log.error("no analysis: %s", _cause(judged.report))
            agent_log.warning("fall-back used: dummy analysis")
        return judged

    async def _ask(self, call: CallRequest, transcript: str) -> Outcome[Analysis]:
        if call.agent_url is None:
            return await self._llm.analyse(transcript)
        agent = await self._agents.get(call.agent_url)
        first = await agent.analyse(call.agent_url.target, transcript, call.agent_format)
        if not first.failed:
            return first
        agent_log.error("the external agent failed: %s", _cause(first.report))
        agent_log.warning("fall-back used: llm-gateway")
        second = await self._llm.analyse(transcript)
        return Outcome(second.value, after(first.report, second.report), second.status_code, second.retry_after)


def _cause(report: StageReport) -> str:
    """For the log: the whole error is for the caller alone, since a model may repeat in it what was said."""
    tried = (f"{a.backend} {a.error_type or a.outcome} {a.http_status or ''}".rstrip() for a in report.attempts)
    return f"{report.error_type} ({', '.join(tried)})"
