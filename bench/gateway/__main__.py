"""A chat call through our gateway and our api, beside litellm's proxy and Portkey, before the same stub.

    python -m bench.gateway [--rounds 5] [--sides gateway,api,litellm,portkey,router] [--quick]

Prints markdown, and writes it to bench/results/gateway.md unless it is a quick run. Peers are installed into .bench/.
Processor time is user + system of the side's process tree from /proc, so this runs on Linux.
"""

import argparse
import asyncio
import datetime as dt
import os
import time

from bench.gateway import cost, outage
from bench.gateway.report import document
from bench.gateway.sides import Api, Direct, Gateway, LiteLlm, Portkey, Side, VllmRouter
from bench.stt.run import report
from bench.stt.sides import ROOT, SideMissing

SIDES: dict[str, type[Side]] = {
    "gateway": Gateway,
    "api": Api,
    "litellm": LiteLlm,
    "portkey": Portkey,
    "router": VllmRouter,
}
RESULTS = ROOT / "bench" / "results" / "gateway.md"


def main() -> None:
    arguments = parse()
    rounds = 1 if arguments.quick else arguments.rounds
    begun, load = time.monotonic(), os.getloadavg()[0]
    started: dict[str, Side] = {}
    missing: list[str] = []
    stub = Direct(0)
    try:
        stub.start()
        for key in arguments.sides:
            side = SIDES[key](stub.port)
            try:
                side.start()
                started[key] = side
            except SideMissing as error:
                side.stop()
                missing.append(f"{side.name} is missing: {error}.")
                report(missing[-1])
        costs, outages = run(stub, started, rounds, arguments.quick)
    finally:
        for side in (stub, *started.values()):
            side.stop()
    names = {key: side.name for key, side in started.items()}
    taken = f"{time.monotonic() - begun:.0f} s on a machine whose load was {load:.1f} before"
    measured = f"Measured {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC in {taken}."
    text = document(names, costs, outages, rounds, [*missing, measured])
    print(text)
    if not arguments.quick:
        RESULTS.write_text(text, encoding="utf-8")


def run(
    stub: Side, sides: dict[str, Side], rounds: int, quick: bool
) -> tuple[dict[str, cost.Cost], dict[str, outage.Outage]]:
    """Sides take turns within a round, so that a slow minute of the machine hits all of them."""
    costs = {key: cost.Cost() for key in ("stub", *sides)}
    for side in sides.values():
        report(f"warming up {side.name}")
        asyncio.run(cost.warm_up(side))
    for number in range(rounds):
        for key, side in {"stub": stub, **sides}.items():
            report(f"round {number + 1} of {rounds}: {side.name}")
            asyncio.run(cost.measure(side, costs[key]))
    failures = {key: outage.Outage() for key in sides}
    for key, side in sides.items():
        for number in range(1 if quick else side.outages):
            report(f"outage {number + 1}: {side.name}")
            asyncio.run(outage.measure(side, stub.port, failures[key]))
    return costs, failures


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", type=_list, default=list(SIDES), help=f"of {','.join(SIDES)}")
    parser.add_argument("--quick", action="store_true", help="one round, printed only: to try it out")
    return parser.parse_args()


def _list(text: str) -> list[str]:
    chosen = text.split(",")
    if unknown := set(chosen) - set(SIDES):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return chosen


if __name__ == "__main__":
    main()
