"""The process of one cell: ``python -m srbench.engine.worker CELL_FOLDER``.

Importing this module imports no torch, so that what guards the process is in place first.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from srbench.engine.events import EventWriter
from srbench.engine.processes import die_with_parent
from srbench.engine.ranks import PARENT

WORK = "work"  # working directory of the cell: what a plugin writes beside itself lands here


def main(arguments: list[str]) -> int:
    """Run the cell; 0 whenever a record was committed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s",
                        stream=sys.stderr)
    emit = EventWriter.from_environment()
    from srbench.engine.cell import run_cell

    record = run_cell(Path(arguments[0]).absolute(), emit)
    emit({"event": "done", "status": str(record.outcome.status)})
    return 0


if __name__ == "__main__":
    if PARENT in os.environ:
        die_with_parent(signal.SIGKILL, int(os.environ.pop(PARENT)))
    target = Path(sys.argv[1]).absolute()
    if (target / WORK).is_dir():
        os.chdir(target / WORK)
    code = main([str(target)])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads a plugin left running must not keep a finished cell alive
