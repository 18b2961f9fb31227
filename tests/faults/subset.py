"""Which cells run where time is short: every upstream and every fault at least once, always the same ones."""

import random
from collections import Counter
from itertools import groupby

from tests.faults.matrix import Cell, Endpoint

Groups = dict[tuple[str, str], list[Cell]]
_SEED = 4
_FINE = ([200], [202], [204], [1000])


def groups_of(cells: list[Cell]) -> Groups:
    return {names: list(group) for names, group in groupby(cells, key=lambda cell: (cell.upstream, cell.fault_name))}


def subset(groups: Groups) -> Groups:
    """One upstream for each fault, the least used first; of its endpoints those that the fault can change."""
    draw = random.Random(_SEED)
    used: dict[str, int] = {}
    chosen: Groups = {}
    others: Counter[Endpoint] = Counter()
    for fault in dict.fromkeys(name for _, name in groups):
        upstreams = [upstream for upstream, name in groups if name == fault]
        draw.shuffle(upstreams)
        upstream = min(upstreams, key=lambda name: used.get(name, 0))
        used[upstream] = used.get(upstream, 0) + 1
        chosen[upstream, fault] = _touched(groups[upstream, fault], others)
    for upstream in dict.fromkeys(name for name, _ in groups):
        if upstream not in used:
            fault = draw.choice([name for u, name in groups if u == upstream])
            chosen[upstream, fault] = _touched(groups[upstream, fault], others)
    return {names: chosen[names] for names in groups if names in chosen}


def _touched(group: list[Cell], others: Counter[Endpoint]) -> list[Cell]:
    """And two requests of other kinds, which must go on: those that were tried least."""
    fine = [cell for cell in group if cell.expected.status in _FINE and not cell.expected.degraded]
    touched = [cell for cell in group if cell not in fine or cell.expected.not_ready or cell.expected.counts]
    rest = sorted((cell for cell in fine if cell not in touched), key=lambda cell: others[cell.endpoint])[:2]
    others.update(cell.endpoint for cell in rest)
    return [*touched, *rest]
