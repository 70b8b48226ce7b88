"""What a long plan costs, and what the code of a cell costs to read.

    python benchmarks/plan.py [--cells 10000] [--repeats 3]

Three plans of the same length: one method with many seeds, a sweep with many seeds, and a sweep
alone, in which every cell has parameters of its own. Times are processor times, which other
programs disturb least, and the best of the repeats, as what disturbs them only adds; the first
plan of a process also parses the sources, which is printed apart.
The goal is 5 s for 10,000 cells. The size is that of ``cell.json``, which lists every file.
"""

from __future__ import annotations

import argparse
import time
from math import isqrt
from statistics import mean

from srbench.plan import Cell, Request, make_plan
from srbench.registry.catalog import Catalog, discover
from srbench.spec import parse_specs

GOAL = 5.0 / 10_000  # seconds for each cell
METHOD, RATE, COUNT, DATASET = "ots", "lr_map", "iterations", "w2-early"


def plan(catalog: Catalog, methods: str, seeds: int) -> tuple[float, list[Cell]]:
    """Processor seconds and cells of one plan, from the words of the user on."""
    started = time.process_time()
    request = Request(methods=parse_specs([methods]), datasets=parse_specs([DATASET]),
                      seeds=list(range(seeds)), preset="quick", precision="fp32", device="cpu",
                      threads=1)
    cells = make_plan(request, catalog, "benchmark")
    return time.process_time() - started, cells


def sweep(key: str, values: int, step: float) -> str:
    """``key=[step,2*step,...]``."""
    return f"{key}=[{','.join(f'{step * (number + 1):.6g}' for number in range(values))}]"


def main() -> None:
    """Print one line per plan."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    side = max(1, isqrt(options.cells))
    catalog = discover()
    catalog.method(METHOD).load()
    catalog.dataset(DATASET).load()
    for metric in catalog.metrics.values():
        metric.load()
    print(f"one cell, sources parsed for the first time: {plan(catalog, METHOD, 1)[0]:8.3f} s")
    print(f"one cell, sources read again:                {plan(catalog, METHOD, 1)[0]:8.3f} s")
    print(f"{'plan':30} {'cells':>7} {'s':>8} {'ms/cell':>9} {'of goal':>8} {'bytes':>8}")
    for name, methods, seeds in (
            ("seeds", METHOD, side * side),
            ("sweep x seeds", f"{METHOD}[{sweep(RATE, side, 1e-5)}]", side),
            ("sweep x sweep",
             f"{METHOD}[{sweep(RATE, side, 1e-5)},{sweep(COUNT, side, 1)}]", 1)):
        runs = [plan(catalog, methods, seeds) for _ in range(options.repeats)]
        seconds, cells = min(run[0] for run in runs), runs[0][1]
        size = mean(len(cell.model_dump_json(indent=1)) for cell in cells[:20])
        print(f"{name:30} {len(cells):7d} {seconds:8.3f} {1000 * seconds / len(cells):9.4f} "
              f"{seconds / len(cells) / GOAL:8.1%} {size:8.0f}")


if __name__ == "__main__":
    main()
