"""Every built-in method, in every stage, survives SIGKILL: the same bits as if nothing had been.

Kills are real ones, of processes of their own (`lives`). What is compared is everything the last
checkpoint of a training holds: networks, optimizers, schedules, random states, positions of
samplers and pools, history, costs.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from srbench.training.checkpoint import CheckpointStore, read_checkpoint
from tests.methods.lives import AFTER, CASES, LENGTHS, MANIFEST, STATE, TENSORS, Life, Lives

EVERY = 2  # steps between two checkpoints
QUICK = [name for name in CASES if name.startswith(("linear", "constant")) or "vector" in name]
# The step after which the process dies: in each stage of those that have several, else anywhere;
# never one with a checkpoint. Stages of tdsr and sdsr are 3, 5 and 4 steps long, of dasr 3, 3, 4.
STEPS = {**{name: (1, 3, 5) if name in QUICK else (3,) for name in CASES},
         "tdsr": (1, 3, 5, 7, 11), "sdsr": (3, 7, 9), "dasr": (3, 5, 9), "dasr-avg": (5,)}
# Optimizer updates of the training: one of them is the last thing a process does.
UPDATES = {"ots-image": 18, "ots-vector-pool": 18, "ots-sr": 18, "ots-sr-vgg": 18,
           "wgan-gp-image": 18, "wgan-gp-vector": 24, "tdsr": 14}


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    found = Lives(tmp_path_factory.mktemp("lives"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def whole(lives: Lives, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """What an undisturbed life of a case leaves, run once: (answer, history)."""
    made: dict[str, Any] = {}

    def get(case: str) -> Any:
        if case not in made:
            folder = tmp_path_factory.mktemp(case)
            answer = lives(Life(case=case, folder=str(folder)))
            assert answer["steps"] == LENGTHS[case]
            made[case] = answer, pd.read_parquet(folder / "history.parquet")
        return made[case]

    return get


@pytest.fixture
def agrees(lives: Lives, whole: Callable[[str], Any], tmp_path: Path) -> Callable[..., None]:
    """Function that takes a dead training up and compares its end with the undisturbed one."""
    def check(case: str, *, saved: int, resumes: int = 1, told: Any = None, **given: Any) -> None:
        found = lives(Life(case=case, folder=str(tmp_path), every=EVERY, **given))
        answer, history = whole(case)
        assert found["code"] == 0, told
        assert found["steps"] == LENGTHS[case] - saved, told
        wrong = [name for name in answer["bits"].keys() | found["bits"].keys()
                 if answer["bits"].get(name) != found["bits"].get(name)]
        assert sorted(wrong) == [], told
        assert found["costs"] == answer["costs"], told
        assert found["resumes"] == resumes, told
        assert min(found["seconds"]) >= 0, told
        rows = pd.read_parquet(tmp_path / "history.parquet")
        pd.testing.assert_frame_equal(rows.drop(columns="seconds"),
                                      history.drop(columns="seconds"))
        assert not rows.duplicated(["stage", "step", "name"]).any(), told
        assert rows["seconds"].is_monotonic_increasing, told
        assert list(tmp_path.rglob(".tmp*")) == [], told

    return check


def last_saved(folder: Path) -> int:
    """Steps of all stages in the newest checkpoint; 0 where there is none."""
    state = CheckpointStore(folder / "checkpoint").read()
    return 0 if state is None else sum(counts["steps"] for counts in state["stages"])


def test_a_comparison_covers_what_a_training_consists_of(whole):
    names = whole("ots-vector-pool")[0]["bits"].keys() | whole("dasr")[0]["bits"].keys()
    parts = {name.split("/")[1] for name in names}
    assert {"objects", "rng", "draws", "stages", "pending", "history", "generators",
            "oracle"} - parts <= {"generators", "oracle", "pending"}  # may be empty
    assert {"/rng/python/numbers", "/rng/numpy/keys", "/rng/torch", "/draws/lr",
            "/draws/hr"} <= names
    assert any(name.endswith("exp_avg_sq") for name in names)
    assert any("last_epoch" in name for name in names)  # schedules


@pytest.mark.parametrize(("case", "step"),
                         [(case, step) for case in CASES for step in STEPS[case]])
def test_killed_after_a_step(case, step, lives, agrees, tmp_path):
    dead = lives(Life(case=case, folder=str(tmp_path), every=EVERY, kill_step=step))
    assert dead["code"] == -signal.SIGKILL
    saved = step // EVERY * EVERY
    assert last_saved(tmp_path) == saved  # less than one interval is lost
    agrees(case, saved=saved, resumes=1 if saved else 0)


@pytest.mark.parametrize("case", UPDATES)
def test_killed_in_the_middle_of_any_step(case, lives, agrees, tmp_path):
    update = random.randrange(1, UPDATES[case] + 1)
    dead = lives(Life(case=case, folder=str(tmp_path), every=EVERY, kill_update=update))
    assert dead["code"] == -signal.SIGKILL
    saved = last_saved(tmp_path)
    agrees(case, saved=saved, resumes=1 if saved else 0, told=f"killed after update {update}")


def test_killed_again_and_again(lives, agrees, tmp_path):
    """Each time three steps further; the second to last of these was saved."""
    for saved in (0, 2, 4, 6, 8):
        dead = lives(Life(case="tdsr", folder=str(tmp_path), every=EVERY, kill_step=3))
        assert (dead["code"], last_saved(tmp_path)) == (-signal.SIGKILL, saved + 2)
    agrees("tdsr", saved=10, resumes=5)


def test_what_a_resumed_training_forgets_is_noticed(lives, agrees, tmp_path):
    lives(Life(case="ots-vector", folder=str(tmp_path), every=EVERY, kill_step=3))
    with pytest.raises(AssertionError, match="/rng/"):
        agrees("ots-vector", saved=2, forgetful=True)


@pytest.mark.parametrize("case", ["ots-vector-pool", "tdsr"])
@pytest.mark.parametrize(("file", "size"), [(STATE, 0), (STATE, 999), (TENSORS, 0),
                                            (TENSORS, 2000), (MANIFEST, 0), (MANIFEST, 40),
                                            (AFTER, 0)])
def test_killed_while_a_checkpoint_is_written(case, file, size, lives, agrees, tmp_path):
    life = Life(case=case, folder=str(tmp_path), every=EVERY, kill_write=(2, file, size))
    assert lives(life)["code"] == -signal.SIGKILL
    saved = 4 if file == AFTER else 2
    visible = CheckpointStore(tmp_path / "checkpoint").newest_first()
    assert len(visible) == saved // EVERY
    for path in visible:
        read_checkpoint(path)  # none is seen in part
    agrees(case, saved=saved)


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[:int(len(content) * share)]


def flip(content: bytes) -> bytes:
    """One bit, anywhere."""
    at, damaged = random.randrange(8 * len(content)), bytearray(content)
    damaged[at // 8] ^= 1 << at % 8
    return bytes(damaged)


@pytest.mark.parametrize(("case", "file"), [("ots-image", TENSORS), ("tdsr", TENSORS),
                                            ("wgan-gp-vector", STATE)])
@pytest.mark.parametrize("damage", [cut(0), cut(0.5), cut(0.999), flip],
                         ids=["empty", "half", "short", "bit"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(case, file, damage, lives, agrees,
                                                                tmp_path):
    lives(Life(case=case, folder=str(tmp_path), every=EVERY, kill_step=5))
    newest, _ = CheckpointStore(tmp_path / "checkpoint").newest_first()
    content = (newest / file).read_bytes()
    damaged = damage(content)
    assert damaged != content
    (newest / file).write_bytes(damaged)
    agrees(case, saved=2)
    assert f"checkpoint passed over: {newest / file} is torn or altered" in lives.log.read_text()


@pytest.mark.parametrize(("case", "steps", "file"), [
    ("ots-image", 2, "/checkpoint/"),  # the checkpoint after the second step does not fit
    ("dasr", 1, "/pairs/")])  # nor do the pairs that the second step begins
def test_a_full_disk_is_said_and_what_was_saved_stays(case, steps, file, lives, agrees, tmp_path):
    lives(Life(case=case, folder=str(tmp_path), every=EVERY, kill_step=3))
    saved = {path: path.read_bytes() for path in (tmp_path / "checkpoint").rglob("*")
             if path.is_file()}
    full = lives(Life(case=case, folder=str(tmp_path), every=EVERY, full_after=1))
    assert full["steps"] == steps
    assert full["error"].startswith("cannot write ")
    assert file in full["error"]
    assert "File too large" in full["error"]
    assert "free space" in full["error"]
    assert {path: path.read_bytes() for path in (tmp_path / "checkpoint").rglob("*")
            if path.is_file()} == saved
    agrees(case, saved=2)


@pytest.mark.parametrize("case", ["ots-vector", "dasr"])
def test_a_clock_that_goes_back_changes_nothing(case, lives, agrees, tmp_path):
    lives(Life(case=case, folder=str(tmp_path), every=EVERY, kill_step=5, backwards=True))
    agrees(case, saved=4, backwards=True)
