"""d. Errors on every set of recordings."""

from collections.abc import Callable

from bench.stt.audio import Clip, Library
from bench.stt.run import Run, report
from bench.stt.score import Score, characters, total, words
from bench.stt.table import table


def measure(run: Run, library: Library) -> str:
    sides = run.sides("direct", "batched4", "batched8", "chammal", "fws", "cpp", "wyoming")
    sets: dict[str, tuple[list[Clip], Callable[[str, str], Score]]] = {
        "enquiries": (library.naver, characters),
        "enquiries 8 kHz": (library.telephone(library.naver), characters),
        "narration": (library.azure, characters),
        "narration 8 kHz": (library.telephone(library.azure), characters),
        "call turns 8 kHz": (library.turns, characters),
        "English (WER)": (library.english[:1], words),
        "two readers at once (WER)": (library.english[1:], words),
    }
    if run.quick:
        sets = {name: (clips[:2], score) for name, (clips, score) in sets.items() if "narration" not in name}
    cells: dict[str, list[str]] = {key: [side.name] for key, side in sides.items()}
    for name, (clips, score) in sets.items():
        for key, side in list(sides.items()):
            try:
                rate = total(score(clip.reference, side.transcribe(clip)) for clip in clips).rate
            except Exception as error:  # noqa: BLE001 - a peer that fails takes no other down
                run.drop(sides, key, error)
                cells.pop(key)
                continue
            cells[key].append(f"{rate:.3f}")
            report(f"d {name} {side.name}: {rate:.3f}")
    heads = ["side", *(f"{name} ({len(clips)})" for name, (clips, _) in sets.items())]
    said = "CER, each recording weighed by its length; in brackets the number of recordings. 8 kHz is mu-law."
    return f"{said}\n\n{table(heads, cells.values())}"
