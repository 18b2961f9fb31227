"""`python -m tests.faults`: runs cells and says what was wrong. `--table` prints the table of docs/degradation.md."""

import argparse
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path

from tests.faults import table
from tests.faults.matrix import Cell, cells, load
from tests.faults.mesh import CannotBe, Mesh
from tests.faults.run import run_group


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--table", action="store_true", help="print the table, run nothing")
    parser.add_argument("--write", action="store_true", help="write the table into docs/degradation.md, run nothing")
    parser.add_argument("--upstream", action="append", default=[])
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--endpoint", action="append", default=[])
    arguments = parser.parse_args()
    if arguments.table:
        print(table.render(load()))
        return 0
    if arguments.write:
        table.write(load())
        return 0
    chosen = [
        cell
        for cell in cells(load())
        if cell.upstream in (arguments.upstream or [cell.upstream])
        and cell.fault_name in (arguments.fault or [cell.fault_name])
        and cell.endpoint in (arguments.endpoint or [cell.endpoint])
    ]
    return 1 if _run(chosen) else 0


def _run(chosen: list[Cell]) -> int:
    """How many are wrong."""
    wrong, slowest, started = 0, 0.0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        mesh = Mesh(Path(folder))
        try:
            for names, group in groupby(chosen, key=lambda cell: (cell.upstream, cell.fault_name)):
                begun = time.monotonic()
                try:
                    results = list(run_group(mesh, list(group)))
                except CannotBe as error:
                    print(f"{' x '.join(names)}: not tried: {error}")
                    continue
                bad = [result for result in results if result.wrong]
                wrong += len(bad)
                slowest = max(slowest, *(result.seen.seconds for result in results))
                print(f"{' x '.join(names)}: {len(results)} cells, {len(bad)} wrong, {time.monotonic() - begun:.1f} s")
                for result in bad:
                    print(f"    {result.cell.endpoint}: {'; '.join(result.wrong)}")
                sys.stdout.flush()
        finally:
            mesh.close()
    print(f"{len(chosen)} cells, {wrong} wrong, slowest answer {slowest:.1f} s, {time.monotonic() - started:.0f} s")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
