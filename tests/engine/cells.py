"""Cells without torch: a stand-in for what a worker imports, that ends in every way."""

from __future__ import annotations

import time
from pathlib import Path

from srbench.plan import Cell
from tests.results.factory import make_record

# Put first on PYTHONPATH as sitecustomize.py: the worker of a job finds this in place of
# srbench.engine.cell. What it does is the cell's method.
STAND_IN = r'''
import json, os, signal, subprocess, sys, time, types

def run_cell(folder, emit):
    folder = str(folder)
    cell = json.load(open(folder + "/cell.json"))
    way, pipe = cell["identity"]["method"], emit._descriptor

    def send(data):
        while data:
            data = data[os.write(pipe, data):]

    def commit(status="ok", reason=""):
        now = "2026-01-02T03:04:05+00:00"
        with open(folder + "/record.new", "w") as file:
            json.dump({"schema_version": 1, "identity": cell["identity"], "origin": cell["origin"],
                       "outcome": {"status": status, "reason": reason, "started": now,
                                   "finished": now}}, file)
        os.rename(folder + "/record.new", folder + "/record.json")

    def child(**options):
        process = subprocess.Popen(["sleep", "300"], **options)
        with open(folder + "/child.new", "w") as file:
            file.write(str(process.pid))
        os.rename(folder + "/child.new", folder + "/child")

    if way == "ok":
        commit()
    elif way == "late":
        time.sleep(2.5); commit()
    elif way == "pair":
        open(folder + "/../here-" + str(cell["identity"]["seed"]), "w").close()
        other, end = folder + "/../here-" + str(1 - cell["identity"]["seed"]), time.time() + 20
        while not os.path.exists(other) and time.time() < end:
            time.sleep(0.01)
        commit() if os.path.exists(other) else commit("failed", "alone")
    elif way == "environment":
        commit("failed", " ".join(os.environ.get(name, "-") for name in
                                  ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONUNBUFFERED")))
    elif way == "where":
        commit("failed", os.getcwd() + " " + os.environ["SRBENCH_CWD"])
        open("left.txt", "w").close()
    elif way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif way == "exit":
        print("the last words"); sys.exit(7)
    elif way == "log":
        for line in range(40000):
            print("line", line)
        sys.stdout.flush(); os.write(1, b"caf\xe9\n"); commit("failed", "a long log")
    elif way == "garbage":
        send(b'no json\n[1]\n"text"\nnull\n\xff\xfe\n\n{}\n{"event": ["phase"]}\n')
        send(b'{"event": "finished"}\n{"event": "started"}\n' + b"[" * 200000 + b"\n")
        send(b'{"event": "phase", "phase": "fit"}\n{"event": "phase", "ph')
        time.sleep(1.0); commit()
    elif way == "flood":
        for step in range(4000):
            send(json.dumps({"event": "progress", "stage": "main", "step": step, "steps": 4000,
                             "pad": "x" * 50}).encode() + b"\n")
        commit()
    elif way == "endless":
        block = b"x" * 65536
        for _ in range(64):
            send(block)
        send(b'\n{"event": "phase", "phase": "after"}\n')
        time.sleep(1.0); commit()
    elif way == "family":
        child(); time.sleep(300)
    elif way == "orphan":
        child(); commit()
    elif way == "stray":
        child(start_new_session=True); commit()
    elif way == "emigrants":
        child(start_new_session=True); signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(300)
    elif way == "polite":
        def stop(*_):
            commit("interrupted", "asked to stop"); os._exit(0)
        signal.signal(signal.SIGTERM, stop); send(b'{"event": "phase", "phase": "fit"}\n')
        time.sleep(300)
    elif way == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        send(b'{"event": "phase", "phase": "fit"}\n'); time.sleep(300)
    elif way == "hungry":
        raise_it = os.path.exists(folder + "/fed")
        open(folder + "/fed", "w").close()
        commit() if raise_it else commit("oom", "CUDA out of memory")
    elif way == "insatiable":
        commit("oom", "CUDA out of memory")
    return types.SimpleNamespace(outcome=types.SimpleNamespace(status="done"))

if "srbench.engine.worker" in sys.orig_argv:
    module = types.ModuleType("srbench.engine.cell")
    module.run_cell = run_cell
    sys.modules["srbench.engine.cell"] = module
'''


def stand_in(folder: Path) -> Path:
    """Write the stand-in into a folder that goes first on PYTHONPATH; returns the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(STAND_IN)
    return folder


def make_cell(way: str, *, seed: int = 0, threads: int = 1) -> Cell:
    """One cell whose process ends by ``way``."""
    record = make_record(way, seed=seed, threads=threads)
    return Cell(identity=record.identity, origin=record.origin, parts={"seed": seed},
                device="cpu", budget="", metrics=[], plugins=[], checkpoint_seconds=60.0,
                validations=10)


def is_alive(process: int, *, patience: float = 5.0) -> bool:
    """Whether a process still runs after ``patience`` seconds; one nobody reaped does not."""
    stat, deadline = Path(f"/proc/{process}/stat"), time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            if stat.read_text().rpartition(")")[2].split()[0] in "ZX":
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
        time.sleep(0.05)
    return True
