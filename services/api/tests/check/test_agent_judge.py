import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chammal_api.check.agent_judge import AgentJudge, prompt_for, read_claims
from chammal_api.check.evidence import Refused, by_id, letters, verify
from chammal_api.check.findings import JudgeOutcome, ModelFinding
from chammal_api.check.rules import Question, RuleSet
from chammal_api.check.windows import lines_of
from chammal_api.clients.agents import Agents
from chammal_api.clients.named_agent import NamedAgent
from chammal_contracts.checks import CheckRequest, Judge, Polarity, ProductType, Speaker, Utterance, Verdict
from chammal_contracts.stages import FailureType, Stage, StageReport, StageStatus
from chammal_contracts.transcribe import AgentRequestFormat
from chammal_kit.egress import Egress
from chammal_kit.upstream import UpstreamPolicy

pytestmark = pytest.mark.anyio


def question(name: str, polarity: Polarity, part: str | None = None) -> Question:
    return Question(
        id=f"{name}/{part}" if part else name, element=name, part=part, name=name, looks_for="무엇을 말하는 줄",
        polarity=polarity,
    )  # fmt: skip


QUESTIONS = [
    question("EXP-02", Polarity.MUST_SAY, "loss"),
    question("EXP-02", Polarity.MUST_SAY, "grade"),
    question("SOL-01", Polarity.MUST_NOT),
]
UTTERANCES = [
    Utterance(id="u1", speaker=Speaker.AGENT, text="원금 손실이 날 수 있습니다."),
    Utterance(id="u2", speaker=Speaker.AGENT, text="그래도 무조건 수익이 납니다."),
]
REQUEST = CheckRequest(product_type=ProductType.INVESTMENT, utterances=UTTERANCES)
RULES = RuleSet.model_construct()
LINES = lines_of(UTTERANCES)


class Gateway:
    """The fall-back's stand-in."""

    def __init__(self) -> None:
        self.asked = 0

    async def judge(self, rules: RuleSet, request: CheckRequest, questions: Sequence[Question]) -> JudgeOutcome:
        self.asked += 1
        report = StageReport(stage=Stage.ANALYSIS, status=StageStatus.OK, backend="vllm", model="qwen")
        return JudgeOutcome({questions[0].id: ModelFinding(False)}, report, "1")


@pytest.fixture
async def agents(mesh: Any) -> AsyncIterator[Agents]:
    async with aclosing(Agents(Egress([f"{mesh.url}/agent"]), UpstreamPolicy())) as agents:
        yield agents


def read(elements: dict[str, Any]) -> dict[str, ModelFinding]:
    return read_claims({"elements": elements}, QUESTIONS, LINES, UTTERANCES)


async def test_an_agents_claims_are_findings_with_the_utterance_that_has_the_quote(mesh: Any, agents: Agents) -> None:
    claims = {"EXP-02/loss": 1, "EXP-02/grade": 0, "SOL-01": {"verdict": "위반의심", "quote": "무조건 수익이"}}
    mesh.says("/agent", {"summary": "요약", "elements": claims})
    gateway = Gateway()
    outcome = await AgentJudge(agents, NamedAgent(f"{mesh.url}/agent"), gateway).judge(RULES, REQUEST, QUESTIONS)
    assert outcome.findings["EXP-02/loss"].utterance_ids == ("u1",)
    assert not outcome.findings["EXP-02/grade"].said
    assert outcome.findings["SOL-01"].utterance_ids == ("u2",)
    assert (outcome.report.status, outcome.report.backend, gateway.asked) == (StageStatus.OK, "external", 0)
    assert json.loads(mesh.seen[0]["body"]) == {"prompt": prompt_for(LINES, QUESTIONS)}


async def test_an_agent_of_the_text_format_is_sent_the_words_alone(mesh: Any, agents: Agents) -> None:
    mesh.says("/agent", {"elements": {"SOL-01": {"verdict": "충족"}}})
    named = NamedAgent(f"{mesh.url}/agent", AgentRequestFormat.TEXT_ONLY)
    outcome = await AgentJudge(agents, named, Gateway()).judge(RULES, REQUEST, QUESTIONS)
    assert json.loads(mesh.seen[0]["body"]) == {
        "text": "agent: 원금 손실이 날 수 있습니다.\nagent: 그래도 무조건 수익이 납니다."
    }
    assert set(outcome.findings) == {"SOL-01"}
    assert outcome.report.status is StageStatus.OK
    assert outcome.report.error == "the agent said nothing of 2 of 3 questions"


@pytest.mark.parametrize("answer", [[], {}, {"summary": "요약"}, {"elements": []}, {"elements": {}}, "text"])
async def test_an_agent_that_does_not_judge_is_followed_by_the_gateway(mesh: Any, agents: Agents, answer: Any) -> None:
    mesh.says("/agent", answer)
    gateway = Gateway()
    outcome = await AgentJudge(agents, NamedAgent(f"{mesh.url}/agent"), gateway).judge(RULES, REQUEST, QUESTIONS)
    assert gateway.asked == 1
    assert set(outcome.findings) == {"EXP-02/loss"}
    report = outcome.report
    assert (report.status, report.backend, report.error_type) == (
        StageStatus.DEGRADED, "vllm", FailureType.INVALID_RESPONSE,
    )  # fmt: skip


async def test_an_agent_that_may_not_be_named_is_not_called(mesh: Any, agents: Agents) -> None:
    gateway = Gateway()
    outcome = await AgentJudge(agents, NamedAgent("http://169.254.169.254/"), gateway).judge(RULES, REQUEST, QUESTIONS)
    assert (gateway.asked, mesh.seen) == (1, [])
    assert outcome.report.error_type == FailureType.MISCONFIGURED


async def test_nothing_said_is_not_sent_to_an_agent(mesh: Any, agents: Agents) -> None:
    silent = CheckRequest(product_type=ProductType.LOAN, utterances=[])
    outcome = await AgentJudge(agents, NamedAgent(f"{mesh.url}/agent"), Gateway()).judge(RULES, silent, QUESTIONS)
    assert (outcome.report.status, mesh.seen) == (StageStatus.SKIPPED, [])


def test_a_claim_about_an_element_holds_for_its_parts_and_partly_met_for_none() -> None:
    assert set(read({"EXP-02": {"verdict": "미충족"}})) == {"EXP-02/loss", "EXP-02/grade"}
    assert read({"EXP-02": {"verdict": "부분충족", "quote": "원금 손실이"}}) == {}


@pytest.mark.parametrize("claim", [3, -1, True, "1", None, [], {"verdict": "해당없음"}, {"verdict": "미충족"}])
def test_a_claim_that_cannot_be_read_is_no_answer(claim: Any) -> None:
    assert "SOL-01" not in read({"SOL-01": claim})


claims = st.integers(-1, 4) | st.fixed_dictionaries(
    {
        "verdict": st.sampled_from([*Verdict, "?"]),
        "quote": st.sampled_from(["무조건 수익이", "원금 손실", "없는 말입니다", "", "네", None])
        | st.text(max_size=20),
    }
)


@given(st.dictionaries(st.sampled_from(["EXP-02", "EXP-02/loss", "EXP-02/grade", "SOL-01", "X"]), claims, min_size=1))
def test_no_claim_of_an_agent_passes_unless_its_quote_is_in_the_utterance_named(elements: dict[str, Any]) -> None:
    utterances = by_id(UTTERANCES)
    for finding in read(elements).values():
        found = verify(finding.quote, finding.utterance_ids, utterances, Judge.MODEL)
        if not isinstance(found, Refused):
            assert letters(finding.quote) in letters(utterances[found.utterance_id].text)
