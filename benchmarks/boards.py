"""How long 10,000 records take to become pages, and what a page of 500 rows weighs.

    python benchmarks/boards.py [--records 10000] [--no-per-image] [--browser]

The records are made up; each has the values of 512 test images beside it, as real ones do. The
build runs in a process of its own, whose wall time and peak memory are printed, imports included.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from srbench.results.record import StageCost
from srbench.results.store import Store
from tests.results.factory import make_metric, make_record

METRICS = {"l2-uvp": 20.0, "cosine": 0.8, "psnr": 24.0, "lpips": 0.2}
SCENES, SEEDS, ROWS = 512, 10, 500
BUILD = """
import sys
from pathlib import Path
from srbench.boards.build import build_board
from srbench.results.store import Store
runs = Path(sys.argv[1])
records, invalid = Store(runs).records()
print(build_board(records, Path(sys.argv[2]), runs=runs, invalid=invalid))
"""


def make_records(count: int, runs: Path, *, per_image: bool) -> None:
    """Write records of boards of 500 methods with ten seeds each, and their per-image values."""
    store, draw = Store(runs), np.random.default_rng(0)
    pool = {name: np.abs(draw.normal(value, value / 4, (64, SCENES)))
            for name, value in METRICS.items()}
    for number in range(count):
        board, rest = divmod(number, ROWS * SEEDS)
        row, seed = divmod(rest, SEEDS)
        record = make_record(
            f"method-{row}[a={row % 7},b={row}]", seed=seed, title=f"data-{board}",
            key=hashlib.sha256(str(number).encode()).hexdigest(),
            metrics={name: make_metric(
                name, float(pool[name][number % 64].mean()) * (1 + row / 900), count=SCENES,
                per_image=f"per_image.parquet#{name}") for name in METRICS})
        record.cost.stages = [StageCost(name="fit", steps=1, seconds=1, images=10,
                                        calls={"map": 5})]
        store.commit(record)
        if per_image:
            frame = pd.DataFrame({name: pool[name][number % 64] * (1 + row / 900)
                                  for name in METRICS})
            frame.to_parquet(store.cell_folder(record.identity.key) / "per_image.parquet")


def time_page(page: Path) -> None:
    """Print how long a page takes in Debian's chromium: until it is interactive, and one sort."""
    from tests.boards.chromium import launched, visits

    with launched() as browser, visits(browser) as visit:
        opened = visit(page)
        ready = opened.evaluate("performance.getEntriesByType('navigation')[0].domInteractive")
        done = opened.evaluate("performance.getEntriesByType('navigation')[0]"
                               ".domContentLoadedEventEnd")
        sort = opened.evaluate("""() => {
            const before = performance.now();
            document.querySelectorAll("#results-table thead button")[3].click();
            document.body.getBoundingClientRect();
            return performance.now() - before;
        }""")
        rows = opened.locator("#rows tr").count()
    print(f"{page.name} in chromium: {rows} rows, parsed after {ready:.0f} ms, its script done "
          f"after {done:.0f} ms, a sort {sort:.0f} ms")


def main() -> None:
    """Make records, build their pages, print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--no-per-image", action="store_true")
    parser.add_argument("--browser", action="store_true", help="time a page in chromium")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs, out = Path(folder) / "runs", Path(folder) / "out"
        started = time.perf_counter()
        make_records(options.records, runs, per_image=not options.no_per_image)
        print(f"{options.records:,} records written in {time.perf_counter() - started:.1f} s")
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", BUILD, str(runs), str(out)], check=True)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        print(f"built in {seconds:.1f} s, peak memory {peak:.2f} GiB")
        for page in sorted(out.glob("*.html")):
            print(f"{page.name}: {page.stat().st_size / 2**20:.2f} MiB")
        if options.browser:
            time_page(min(out.glob("data-*-quick.html")))


if __name__ == "__main__":
    main()
