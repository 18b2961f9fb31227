"""Scores as Markdown."""

from collections.abc import Mapping
from itertools import starmap

from bench.compliance.labels import Truth
from bench.compliance.score import Count, Score, rows

from chammal_contracts.checks import Verdict


def markdown(title: str, made: Score, notes: Mapping[str, str]) -> str:
    parts = [
        f"## {title}",
        "\n".join(f"- {name}: {value}" for name, value in {**notes, **_facts(made)}.items()),
        "| element | right | wrong | missed | precision | recall |\n|---|---|---|---|---|---|\n"
        + "\n".join(starmap(_row, rows(made))),
        "| label \\ verdict | " + " | ".join(Verdict) + " |\n" + "|---" * (len(Verdict) + 1) + "|\n" + _confusion(made),
    ]
    return "\n\n".join(parts) + "\n"


def mistakes(made: Score) -> str:
    """For whoever tunes the rules; those of the test split stay unread."""
    return "\n".join(
        f"- {mistake.call} {mistake.element}: {mistake.truth}, the check says {mistake.verdict}: {mistake.said}"
        for mistake in sorted(made.mistakes, key=lambda mistake: (mistake.element, mistake.call))
    )


def _facts(made: Score) -> dict[str, str]:
    missing = made.missing
    return {
        "calls": str(made.calls),
        "quotes that are not in the utterance named": f"{made.quotes_not_there} of {made.quotes}",
        "verdicts that need words and quote none": str(made.claims_without_quote),
        "right claims that quote an utterance of the label": (
            f"{made.at_label.right} of {made.at_label.right + made.at_label.wrong}"
        ),
        "미충족 claimed": (
            f"{missing.right} right, {missing.wrong} wrong, {missing.missed} missed "
            f"(precision {_share(missing.precision)}, recall {_share(missing.recall)})"
        ),
    }


def _row(name: str, count: Count) -> str:
    figures = (count.right, count.wrong, count.missed, _share(count.precision), _share(count.recall))
    return f"| {name} | " + " | ".join(map(str, figures)) + " |"


def _confusion(made: Score) -> str:
    lines = []
    for truth in Truth:
        counts = [made.confusion[truth, verdict] for verdict in Verdict]
        if any(counts):
            lines.append(f"| {truth} | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
