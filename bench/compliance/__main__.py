"""`python -m bench.compliance`: the check on scripted calls, beside what experts would say.

Rules alone are asked in process. `--model` asks a running mesh (`chammal up`) for rules and model, and shows the rules
alone on the same calls. `--speech` first speaks the calls and listens to them, with the tts and stt of that mesh.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2
from bench.compliance.kept import Kept
from bench.compliance.labels import LabelledCall, Split, load
from bench.compliance.score import Score, score
from bench.compliance.speech import Telephone
from bench.compliance.table import markdown, mistakes
from bench.stt.score import characters, total
from pydantic import TypeAdapter

from chammal_api.check.check import Checker
from chammal_api.check.findings import JudgeOutcome
from chammal_api.check.rule_shelf import RuleShelf
from chammal_api.check.rules import Question, RuleSet
from chammal_contracts.checks import CheckRequest, CheckResult, Utterance

RULES, RULE_SET = Path(__file__).parents[2] / "rules", "fcpa-kr"
SEED = 4


def main() -> None:
    told = _arguments()
    calls = [call for call in load(told.split) if len(call.request.utterances) <= told.longest]
    random.Random(SEED).shuffle(calls)
    if told.calls:
        calls = [call for call in calls if call.id in told.calls]
    give_up = time.monotonic() + told.seconds
    heard: dict[str, list[Utterance]] | None = None
    notes: dict[str, str] = {}
    if told.speech:
        heard = _speak(calls, told, give_up)
        calls = [call for call in calls if call.id in heard]
        notes["characters heard wrong"] = f"{_errors(calls, heard):.0%}"
    requests = {call.id: _request(call, heard) for call in calls}
    title = f"{told.split.value if told.split else 'every split'}{', spoken and heard' if told.speech else ''}"
    parts: list[tuple[str, Score, dict[str, str]]] = []
    if told.model:
        results = _asked(requests, told, give_up)
        requests = {call: request for call, request in requests.items() if call in results}
        models = sorted({result.model or "no model" for result in results.values()})
        statuses = ", ".join(sorted(f"{call} {result.status}" for call, result in results.items()))
        parts.append(
            (
                f"Rules and model, {title}",
                score(calls, results, heard),
                {**notes, "model": ", ".join(models), "status": statuses},
            )
        )
    alone = asyncio.run(_rules_only(requests))
    parts.insert(0, (f"Rules alone, {title}", score(calls, alone, heard), notes))
    report = "\n".join(markdown(name, made, more) for name, made, more in parts)
    print(report)
    if told.out:
        told.out.write_text(report, encoding="utf-8")
    if told.mistakes:
        told.mistakes.write_text(mistakes(parts[-1][1]) + "\n", encoding="utf-8")
    if any(made.quotes_not_there or made.claims_without_quote for _, made, _ in parts):
        sys.exit("a verdict rests on words that are not there")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.compliance", description=__doc__)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--rules-only", action="store_true", help="the default")
    how.add_argument("--model", action="store_true", help="rules and model, over a running mesh")
    parser.add_argument("--split", type=Split, choices=list(Split), help="default: all of them")
    parser.add_argument("--speech", action="store_true", help="speak the calls and check what is heard")
    parser.add_argument("--heard", type=Path, help="keeps what is heard here, and reads what it already has")
    parser.add_argument("--answers", type=Path, help="the same for the answers of --model")
    parser.add_argument("--seconds", type=float, default=3600, help="starts no more calls after this")
    parser.add_argument("--longest", type=int, default=1000, metavar="TURNS", help="leaves out calls of more turns")
    parser.add_argument("--calls", nargs="*", default=[], metavar="ID", help="these alone")
    parser.add_argument("--api", default="http://127.0.0.1:8003")
    parser.add_argument("--tts", default="http://127.0.0.1:8004")
    parser.add_argument("--stt", default="http://127.0.0.1:8001")
    parser.add_argument("--out", type=Path, help="writes the tables there too")
    parser.add_argument("--mistakes", type=Path, help="writes each mistake with its words; not of test calls")
    told = parser.parse_args()
    if told.mistakes and told.split in (None, Split.TEST):
        parser.error("--mistakes needs a --split, and not test: nobody reads those of the test split")
    return told


def _request(call: LabelledCall, heard: dict[str, list[Utterance]] | None) -> CheckRequest:
    return call.request if heard is None else call.request.model_copy(update={"utterances": heard[call.id]})


def _speak(calls: list[LabelledCall], told: argparse.Namespace, give_up: float) -> dict[str, list[Utterance]]:
    kept, telephone = Kept(told.heard, TypeAdapter(dict[str, list[Utterance]])), Telephone(told.tts, told.stt)
    for call in calls:
        if call.id not in kept.calls and time.monotonic() < give_up:
            began = time.monotonic()
            kept.keep(call.id, telephone.call(call.request.utterances))
            print(f"{call.id}: heard in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return {call.id: kept.calls[call.id] for call in calls if call.id in kept.calls}


def _errors(calls: list[LabelledCall], heard: dict[str, list[Utterance]]) -> float:
    """CER over each speaker's words."""
    scores = []
    for call in calls:
        for speaker in {utterance.speaker for utterance in call.request.utterances}:
            said = " ".join(u.text for u in call.request.utterances if u.speaker is speaker)
            got = " ".join(u.text for u in heard[call.id] if u.speaker is speaker)
            scores.append(characters(said, got))
    return total(scores).rate


def _asked(requests: dict[str, CheckRequest], told: argparse.Namespace, give_up: float) -> dict[str, CheckResult]:
    kept = Kept(told.answers, TypeAdapter(dict[str, CheckResult]))
    with httpx2.Client(timeout=900) as http:
        for call, request in requests.items():
            if call in kept.calls or time.monotonic() > give_up:
                continue
            began = time.monotonic()
            answer = http.post(f"{told.api}/v1/checks", json=request.model_dump(mode="json")).raise_for_status()
            kept.keep(call, CheckResult.model_validate(answer.json()))
            print(f"{call}: {kept.calls[call].status} in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return {call: kept.calls[call] for call in requests if call in kept.calls}


async def _rules_only(requests: dict[str, CheckRequest]) -> dict[str, CheckResult]:
    shelf = RuleShelf(RULES, RULE_SET)
    if shelf.problems:
        sys.exit("; ".join(shelf.problems))
    checker = Checker(shelf, NoModel())
    results = {}
    for call, request in requests.items():
        results[call] = (await checker.check(request.model_copy(update={"model": False}))).value
    return {call: result for call, result in results.items() if result is not None}


class NoModel:
    async def judge(self, rules: RuleSet, request: CheckRequest, questions: Sequence[Question]) -> JudgeOutcome:
        raise AssertionError("rules alone ask no model")


if __name__ == "__main__":
    main()
