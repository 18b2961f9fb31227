"""What a drill showed: requests by outcome, how fast breakers said no, the way back, and whether promises were kept."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from rich.console import Group
from rich.table import Table
from rich.text import Text

from chammal.drill.answer import Answer, Endpoint, Outcome
from chammal.drill.promises import REAL
from chammal.drill.rehearsal import Course, Phase
from chammal.drill.scenario import Scenario
from chammal_contracts.stages import BreakerState, Stage, StageStatus


@dataclass(frozen=True)
class Row:
    phase: Phase
    endpoint: Endpoint
    outcomes: Counter[Outcome]
    seconds: list[float]


@dataclass(frozen=True)
class Verdict:
    scenario: Scenario
    rows: list[Row]
    figures: list[tuple[str, str]]
    broken: Counter[str]

    @property
    def kept(self) -> bool:
        return not self.broken


def judge(scenario: Scenario, course: Course) -> Verdict:
    rows = []
    for phase in Phase:
        for endpoint in Endpoint:
            answers = [a for a in course.answers if course.phase(a) is phase and a.endpoint is endpoint]
            if answers:
                rows.append(Row(phase, endpoint, Counter(a.outcome for a in answers), [a.seconds for a in answers]))
    return Verdict(scenario, rows, list(_figures(course)), Counter(_broken(scenario, course)))


def _broken(scenario: Scenario, course: Course) -> Iterator[str]:
    for answer in course.answers:
        yield from answer.broken
        if answer.status is not None:
            yield from _out_of_line(scenario, course, answer)
    if course.recovered_at is None:
        yield "not recovered in time"
    hurt = any(course.phase(a) is Phase.FAULT and a.outcome is not Outcome.OK for a in course.answers)
    if not (hurt or course.hits):
        yield "the fault hit nothing: is the proxy between the services?"


def _out_of_line(scenario: Scenario, course: Course, answer: Answer) -> Iterator[str]:
    """Stages that are not as the scenario says: a failure where none belongs, or success where none can be."""
    phase = course.phase(answer)
    heard = answer.reading.stages.get(Stage.STT, StageStatus.OK) in REAL
    for stage, status in answer.reading.stages.items():
        if status is StageStatus.SKIPPED and stage is Stage.ANALYSIS and (not heard or not scenario.drills_analysis):
            continue
        if phase in (Phase.FAULT, Phase.RECOVERY):
            allowed = scenario.may_be(stage, whole_fault=course.within_fault(answer))
        else:
            allowed = frozenset({StageStatus.OK})
        if status not in allowed:
            yield f"{answer.endpoint}: {stage} was {status} {_WHEN[phase]}"


_WHEN = {
    Phase.BEFORE: "before the fault",
    Phase.FAULT: "during the fault",
    Phase.RECOVERY: "while the mesh recovered",
    Phase.AFTER: "after the mesh had recovered",
}


def _figures(course: Course) -> Iterator[tuple[str, str]]:
    longest = max(course.answers, key=lambda answer: answer.seconds)
    yield "longest answer", f"{longest.seconds:.2f} s ({longest.endpoint}, deadline {longest.deadline:.1f} s)"
    yield "answers with 500", str(sum(answer.outcome is Outcome.SERVER_ERROR for answer in course.answers))
    if course.hits:  # refused connections are not counted: nobody was there
        yield "fault met by", f"{course.hits} requests between the services"
    opened = dict.fromkeys(c.upstream for c in course.changes if c.now is BreakerState.OPEN)
    for upstream in opened:
        yield f"breaker of {upstream}", _breaker(course, upstream)
    if not opened:
        yield "breakers", "none was seen open"
    if rejected := [a.rejected_in * 1000 for a in course.answers if a.rejected_in is not None]:
        told = f"{median(rejected):.1f} ms median, {max(rejected):.1f} ms longest, of {len(rejected)} answers"
        yield "rejected in", told
    if course.recovered_at is None:
        yield "recovered", "no"
    else:
        yield "recovered", f"{course.recovered_at - course.healed_at:.1f} s after the fault was removed"


def _breaker(course: Course, upstream: str) -> str:
    changes = [change for change in course.changes if change.upstream == upstream]
    opened = next(change.at for change in changes if change.now is BreakerState.OPEN)
    last = changes[-1]
    if last.now is not BreakerState.CLOSED:
        end = f"still {last.now}"
    elif last.at < course.healed_at:
        end = "closed while it lasted"
    else:
        end = f"closed {last.at - course.healed_at:.1f} s after it was gone"
    return f"open {opened - course.fault_at:.1f} s after the fault, {end}"


def render(verdict: Verdict) -> Group:
    columns = ["phase", "endpoint", "requests", *Outcome, "median", "longest"]
    table = Table(*columns, box=None, pad_edge=False)
    for row in verdict.rows:
        counts = [str(row.outcomes[outcome] or "·") for outcome in Outcome]
        times = [f"{median(row.seconds):.2f} s", f"{max(row.seconds):.2f} s"]
        table.add_row(row.phase, row.endpoint, str(sum(row.outcomes.values())), *counts, *times)
    figures = Table.grid(padding=(0, 2))
    for name, value in verdict.figures:
        figures.add_row(name, value)
    figures.add_row("promise kept", "yes" if verdict.kept else "NO")
    parts: list[Text | Table] = [Text(f"\n{verdict.scenario.name}: {verdict.scenario.title}\n", style="bold"), table]
    parts += [Text(""), figures]
    parts += [Text(f"  broken {count} x: {promise}") for promise, count in verdict.broken.most_common()]
    return Group(*parts)
