"""What one ranking may hold together."""

from __future__ import annotations

import itertools

import pytest

from srbench.boards.definition import Definition
from srbench.boards.mixing import Candidate, refuse_mixed
from srbench.errors import UsageError
from tests.results.factory import make_metric, make_record

BOARD = Definition(name="w2", title="W2", preset="quick", datasets=("a", "b"),
                   methods=("ots", "bicubic"))


def candidate(label: str = "ots", *, title: str = "a", place: str = "runs",
              **changes) -> Candidate:
    return Candidate(make_record(label, title=title, **changes), place)


def refusal(*candidates: Candidate, board: Definition = BOARD) -> str:
    with pytest.raises(UsageError) as raised:
        refuse_mixed(board, candidates, remedy="give up the others")
    assert "give up the others" in raised.value.hint
    return raised.value.message


def test_equal_records_may_stand_together():
    refuse_mixed(BOARD, [], remedy="")
    refuse_mixed(BOARD, [candidate(seed=seed) for seed in range(3)] + [candidate("bicubic")],
                 remedy="")


def test_datasets_are_compared_each_for_itself():
    psnr = make_metric("psnr", 20.0, protocol="psnr/v2")
    refuse_mixed(BOARD, [candidate(), candidate(title="b", fingerprint="e" * 64,
                                                metrics={"psnr": psnr})], remedy="")


def test_protocols_of_values_that_are_missing_count_too():
    """A column of one protocol that half the methods lack would be two columns."""
    one = make_metric("lpips", None, unavailable="no weights", protocol="lpips/v1")
    two = make_metric("lpips", 0.1, protocol="lpips/v2")
    message = refusal(candidate(metrics={"lpips": one}),
                      candidate("bicubic", metrics={"lpips": two}))
    assert "two protocols of lpips on a: lpips/v1 (ots" in message
    assert "lpips/v2 (bicubic" in message


def test_protocols_of_the_oracles_values_count():
    message = refusal(candidate(oracle={"psnr": 1.0}), candidate(
        "bicubic", oracle={"psnr": make_metric("psnr", 1.0, protocol="psnr/old")}))
    assert "psnr/old" in message


def test_a_cell_that_died_before_it_knew_its_data_mixes_nothing():
    refuse_mixed(BOARD, [candidate(), candidate("bicubic", status="failed", fingerprint="")],
                 remedy="")


def test_the_message_names_both_whatever_the_order():
    three = [candidate(seed=0), candidate(seed=1),
             candidate("bicubic", fingerprint="e" * 64, place="leaderboards")]
    for order in itertools.permutations(three):
        message = refusal(*order)
        assert "d" * 64 in message
        assert "e" * 64 in message
        assert f"cell {three[2].record.identity.key[:12]} of leaderboards" in message


@pytest.mark.parametrize(("other", "said"), [
    ({"preset": "code"}, "mix presets: it is of preset 'quick', and ots, seed 0"),
    ({"title": "c"}, "has the datasets a, b, and ots, seed 0, cell"),
    ({"label": "fssr"}, "takes the methods ots, bicubic, and not fssr, seed 0"),
])
def test_records_of_another_board(other, said):
    assert said in refusal(candidate(**other))


def test_another_source_is_another_data():
    official = Definition(name="w2", title="W2", preset="quick", datasets=("a@embedded",),
                          source="official")
    message = refusal(candidate(title="a@embedded"), board=official)
    assert "mix sources: it is of source 'official'" in message
    assert "'embedded'" in message
