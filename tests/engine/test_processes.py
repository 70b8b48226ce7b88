"""Process trees: what a cell starts dies with it, however well it hid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from srbench.engine.processes import MARK, kill_group
from tests.engine.cells import is_alive

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a matter of Linux")

PARENT = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import os, signal, sys, time
from srbench.engine.processes import die_with_parent
{before}
die_with_parent(signal.{number}, {parent})
print(os.getpid(), flush=True)
time.sleep(60)
'''])
time.sleep(60)
"""

# Starts a grandchild that hides: forked twice, in a session of its own, its parent gone.
HIDE = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(sys.argv[1] + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        time.sleep(60)
    os._exit(0)
os.wait()
"""

KEEPER = """
import os, subprocess, sys, time
from pathlib import Path
from srbench.engine.processes import adopt_orphans, kill_descendants
if {adopt}:
    assert adopt_orphans()
noted, hide, mark = Path(sys.argv[1]), sys.argv[2], sys.argv[3] or None
others = subprocess.Popen(["sleep", "60"])
subprocess.run([sys.executable, "-c", hide, str(noted)], stdout=2,
               env={{**os.environ, "SRBENCH_JOB": "a"}}, check=True)
while not noted.exists():
    time.sleep(0.01)
print(kill_descendants(mark), flush=True)
print("lives" if others.poll() is None else "gone", flush=True)
others.kill()
"""


def parent_of(number: str, *, parent: str = "os.getppid()", before: str = "") -> tuple[
        subprocess.Popen, int]:
    """A process whose child called `die_with_parent`, and the child's number."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(number=number, parent=parent, before=before)],
        text=True, stdout=subprocess.PIPE)
    return process, int(process.stdout.readline())


@pytest.mark.parametrize("number", ["SIGKILL", "SIGTERM"])
def test_a_child_dies_with_its_parent(number):
    parent, child = parent_of(number)
    try:
        assert psutil.pid_exists(child)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert not is_alive(child)
    finally:
        kill(child)


def test_a_child_that_handles_the_signal_may_clean_up(tmp_path):
    note = tmp_path / "note"
    before = (f"signal.signal(signal.SIGTERM, lambda *_: (open({str(note)!r}, 'w').close(), "
              "os._exit(0)))")
    parent, child = parent_of("SIGTERM", before=before)
    try:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert not is_alive(child)
        assert note.exists()
    finally:
        kill(child)


def test_a_child_whose_parent_died_before_it_asked_gets_the_signal_at_once():
    script = ("import signal, time\nfrom srbench.engine.processes import die_with_parent\n"
              f"die_with_parent(signal.SIGTERM, {2**22 + 1})\ntime.sleep(60)")
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=30)
    assert done.returncode == -signal.SIGTERM


def keeper(tmp_path: Path, *, adopt: bool = True, mark: str = "") -> tuple[int, str, int]:
    """How many a keeper killed, how its other child fares, and the number of the one that hid."""
    noted = tmp_path / "grandchild"
    done = subprocess.run(
        [sys.executable, "-c", KEEPER.format(adopt=adopt), str(noted), HIDE, mark], text=True,
        stdout=subprocess.PIPE, timeout=60, check=True)
    number, fate = done.stdout.split()
    return int(number), fate, int(noted.read_text())


def test_a_grandchild_that_hides_is_adopted_and_killed(tmp_path):
    killed, fate, grandchild = keeper(tmp_path)
    assert (killed, fate) == (2, "gone")
    assert not is_alive(grandchild, patience=0.5)


def test_without_adoption_it_gets_away(tmp_path):
    # What the test above would see if adoption did nothing.
    killed, _, grandchild = keeper(tmp_path, adopt=False)
    try:
        assert killed == 1
        assert is_alive(grandchild, patience=0.5)
    finally:
        kill(grandchild)


def test_only_those_with_the_mark_of_a_job_are_killed(tmp_path):
    killed, fate, grandchild = keeper(tmp_path, mark="a")
    assert (killed, fate) == (1, "lives")
    assert not is_alive(grandchild, patience=0.5)


def test_another_jobs_processes_stay(tmp_path):
    killed, fate, grandchild = keeper(tmp_path, mark="b")
    try:
        assert (killed, fate) == (0, "lives")
    finally:
        kill(grandchild)


def test_killing_leaves_no_zombies():
    script = ("import subprocess, sys, psutil\n"
              "from srbench.engine.processes import adopt_orphans, kill_descendants\n"
              "adopt_orphans()\n"
              "for _ in range(5): subprocess.Popen(['sh', '-c', 'sleep 60 & sleep 60'])\n"
              "import time; time.sleep(0.3)\n"
              "print(kill_descendants(), len(psutil.Process().children(recursive=True)))\n")
    done = subprocess.run([sys.executable, "-c", script], text=True, stdout=subprocess.PIPE,
                          timeout=60, check=True)
    assert done.stdout.split()[1] == "0"
    assert int(done.stdout.split()[0]) >= 10


def test_a_process_that_starts_others_on_and_on_is_killed():
    spring = "while true; do sleep 60 & sleep 0.01; done"
    script = ("import subprocess, sys, time, psutil\n"
              "from srbench.engine.processes import adopt_orphans, kill_descendants\n"
              "adopt_orphans()\nsubprocess.Popen(['sh', '-c', sys.argv[1]], stdout=2)\n"
              "time.sleep(0.3)\nkill_descendants()\n"
              "print(len(psutil.Process().children(recursive=True)))\n")
    done = subprocess.run([sys.executable, "-c", script, spring], text=True,
                          stdout=subprocess.PIPE, timeout=60, check=True)
    assert done.stdout == "0\n"


def test_kill_group_takes_the_whole_session_and_a_dead_leader_does_no_harm():
    leader = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], start_new_session=True,
                              text=True, stdout=subprocess.PIPE)
    member = int(leader.stdout.readline())
    kill_group(leader.pid)
    assert leader.wait() == -signal.SIGKILL
    assert not is_alive(member)
    kill_group(leader.pid)


def test_the_mark_is_the_variable_that_jobs_get():
    assert MARK == "SRBENCH_JOB"


def kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
    time.sleep(0.05)


def test_a_run_adopts_orphans_no_longer_than_it_lasts(tmp_path):
    """A notebook that called srbench.run goes on, and its own orphans are the system's."""
    code = ("from types import SimpleNamespace as Cell\n"
            "from srbench.engine.executors.local import LocalExecutor\n"
            "from srbench.engine.processes import adopt_orphans, adopts_orphans\n"
            "for before in (False, True):\n"
            "    adopt_orphans(before)\n"
            "    executor = LocalExecutor(jobs=1)\n"
            "    cell = Cell(key='k', device='cpu', memory_gib=0, gpu_memory_gib=0, ranks=1,\n"
            "                identity=Cell(threads=1))\n"
            "    assert executor.submit(cell, ['sleep', '60'])\n"
            "    print(adopts_orphans())\n"
            "    executor.close()\n"
            "    print(adopts_orphans())\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                          cwd=tmp_path, timeout=60)
    assert done.stdout.split() == ["True", "False", "True", "True"]
