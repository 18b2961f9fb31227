"""One call: recording in, transcript and analysis out, each stage with its own report."""

import asyncio

from chammal_api.analysis import Analysis, read_analysis
from chammal_api.calls.masking import mask_utterances
from chammal_api.calls.utterances import to_transcript
from chammal_api.check.rules import RuleSet
from chammal_api.clients.agents import Agents
from chammal_api.clients.llm import LlmClient
from chammal_api.clients.named_agent import ask_agent
from chammal_api.clients.stt import SttClient
from chammal_api.elements import ShortCheck
from chammal_api.intake import CallRequest
from chammal_api.outcome import Outcome, after, skipped
from chammal_contracts.asr import Transcription
from chammal_contracts.stages import Stage, StageReport, StageStatus
from chammal_contracts.transcribe import AgentType
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

    async def run(self, call: CallRequest, rules: RuleSet | None) -> tuple[Outcome[Transcription], Outcome[Analysis]]:
        """Raises Problem when the call itself is at fault; a failed stage is an outcome, not an exception."""
        heard = await self._stt.transcribe(call)
        if heard.failed:
            stt_log.error("no transcript: %s", _cause(heard.report))
            stt_log.warning("fall-back used: dummy transcript")
        return heard, await self._analyse(call, heard.value, rules)

    async def _analyse(
        self, call: CallRequest, heard: Transcription | None, rules: RuleSet | None
    ) -> Outcome[Analysis]:
        if not call.wants_analysis:
            return skipped(Stage.ANALYSIS, "not asked for")
        if heard is None:
            return skipped(Stage.ANALYSIS, "no transcript")
        if not heard.text.strip():
            return skipped(Stage.ANALYSIS, "the transcript is empty: no speech was found")
        if rules is None:
            return _no_rules()
        judged = await self._ask(call, await asyncio.to_thread(self._prepare, heard, rules))
        if judged.failed:
            agent_log.error("no analysis: %s", _cause(judged.report))
            agent_log.warning("fall-back used: dummy analysis")
        return judged

    def _prepare(self, heard: Transcription, rules: RuleSet) -> ShortCheck:
        utterances = to_transcript(heard).utterances
        return ShortCheck(rules, mask_utterances(utterances)[0] if self._masks else utterances)

    async def _ask(self, call: CallRequest, check: ShortCheck) -> Outcome[Analysis]:
        if call.agent is None:
            return await self._llm.analyse(check)
        first = await ask_agent(
            self._agents,
            call.agent,
            Stage.ANALYSIS,
            check.prompt,
            check.text,
            lambda answer: read_analysis(answer, check, AgentType.EXTERNAL, model=None),
        )
        if not first.failed:
            return first
        agent_log.error("the external agent failed: %s", _cause(first.report))
        agent_log.warning("fall-back used: llm-gateway")
        second = await self._llm.analyse(check)
        return Outcome(second.value, after(first.report, second.report), second.status_code, second.retry_after)


def _no_rules() -> Outcome[Analysis]:
    """Nothing that a caller could do anything about; /ready says what is wrong with the rules."""
    report = StageReport(
        stage=Stage.ANALYSIS, status=StageStatus.DUMMY, error_type="rule_set_unknown", error="no rule set is in force"
    )
    return Outcome(None, report)


def _cause(report: StageReport) -> str:
    """For the log: the whole error is for the caller alone, since a model may repeat in it what was said."""
    tried = (f"{a.backend} {a.error_type or a.outcome} {a.http_status or ''}".rstrip() for a in report.attempts)
    return f"{report.error_type} ({', '.join(tried)})"
