"""What a board is made of: which records, rows in which order, gaps, failures, notes."""

from __future__ import annotations

import random

import pytest

from srbench.boards.definition import Definition, Expected, default_definition
from srbench.boards.estimates import Samples, from_record
from srbench.boards.table import make_board, make_boards, natural_key
from srbench.boards.text import board_data
from tests.boards.worlds import (
    MIX,
    entry,
    labels,
    mix_board,
    mix_records,
    names,
    only,
    row_of,
    scored,
)
from tests.results.factory import make_metric, make_record


def defined(**changes):
    return Definition(**{"name": "w2", "title": "W2", "preset": "quick",
                         "datasets": ("w2-early",), **changes})


# Which boards there are


def test_datasets_and_presets_are_boards_of_their_own():
    boards = make_boards([make_record(title=title, preset=preset)
                          for title in ("w2-early", "w2-early@embedded")
                          for preset in ("quick", "paper")])
    assert [(board.title, board.preset) for board in boards] == [
        ("w2-early", "paper"), ("w2-early", "quick"),
        ("w2-early@embedded", "paper"), ("w2-early@embedded", "quick")]
    assert all(len(board.final.rows) == 1 for board in boards)
    assert [board.name for board in boards] == [
        "w2-early-paper", "w2-early-quick", "w2-early@embedded-paper", "w2-early@embedded-quick"]


def test_presets_with_other_test_images_keep_their_title_and_definition():
    """The test set of quick is smaller: its fingerprint is another, its title is not."""
    records = [make_record(preset=preset, fingerprint=preset[0] * 64)
               for preset in ("quick", "paper")]
    boards = make_boards(records, definitions=[defined()])
    assert [(board.title, board.preset, board.datasets) for board in boards] == [
        ("W2", "quick", ("w2-early",)), ("w2-early", "paper", ("w2-early",))]


def test_two_data_of_one_title_are_not_one_board():
    records = [make_record("a", fingerprint="1" * 64), make_record("b", fingerprint="2" * 64)]
    boards = make_boards(records)
    assert [board.title for board in boards] == ["w2-early (data 11111111)",
                                                 "w2-early (data 22222222)"]
    assert [labels(board) for board in boards] == [["a"], ["b"]]
    assert len({board.name for board in boards}) == 2


def test_a_definition_may_name_one_of_two_data():
    records = [make_record("a", fingerprint="1" * 64), make_record("b", fingerprint="2" * 64)]
    title = "w2-early (data 11111111)"
    published = Expected(label="a", metric="l2-uvp", dataset=title, value=6.0, tolerance=0.5,
                         source="T")
    definition = defined(datasets=(title,), rank=title, published=(published,))
    first, second = make_boards(records, definitions=[definition])
    assert (first.title, labels(first)) == ("W2", ["a"])
    assert first.final.columns[0].dataset == title
    assert entry(first, "a").published.verdict == "reproduced"
    assert (second.title, labels(second)) == ("w2-early (data 22222222)", ["b"])


def test_a_board_of_mixed_data_never_mixes_their_values():
    records = [make_record("a", fingerprint="1" * 64), make_record("a", fingerprint="2" * 64),
               make_record("b", fingerprint="2" * 64)]
    board = make_board(defined(), records)
    assert [(column.metric, column.dataset) for column in board.final.columns] == [
        (metric, f"w2-early (data {digit * 8})") for digit in "12" for metric in ("l2-uvp", "psnr")]
    assert len(set(names(board))) == 4
    assert [own.estimate.seeds for own in row_of(board, "a").entries] == [1] * 4
    assert entry(board, "b", names(board)[0]).mean is None


def test_a_defined_board_takes_its_records_and_leaves_the_rest():
    records = [make_record("ots"), make_record("ots", title="aim19"),
               make_record("ots", preset="paper")]
    boards = make_boards(records, definitions=[defined(summary="All of it.")])
    assert [(board.title, board.name) for board in boards] == [
        ("W2", "w2"), ("aim19", "aim19-quick"), ("w2-early", "w2-early-paper")]
    assert boards[0].summary == "All of it."


def test_two_definitions_of_one_dataset_both_get_its_records():
    definitions = [defined(name="gans", methods=("gan",)), defined(name="all", methods=())]
    records = [make_record("ots"), *scored("gan[k=1]", 9.0)]
    boards = make_boards(records, definitions=definitions)
    assert {board.name: labels(board) for board in boards} == {
        "gans": ["gan[k=1]"], "all": ["ots", "gan[k=1]"]}


def test_a_definition_that_is_called_like_another_board_takes_nothing_from_it():
    definition = defined(name="aim19-quick")
    boards = make_boards([make_record("a"), make_record("b", title="aim19")],
                         definitions=[definition])
    assert {board.title: labels(board) for board in boards} == {"W2": ["a"], "aim19": ["b"]}


def test_a_definition_without_records_makes_no_board_here():
    assert make_boards([], definitions=[defined()]) == []
    assert [board.title for board in make_boards([make_record(title="aim19")], definitions=[
        defined()])] == ["aim19"]
    assert make_boards([make_record("ots")], definitions=[defined(methods=("gan",))]) == []


@pytest.mark.parametrize(("methods", "kept"), [
    ((), ["a", "gan[k=1]", "gan[k=2]"]), (("gan",), ["gan[k=1]", "gan[k=2]"]),
    (("a", "gan[k=2]"), ["a", "gan[k=2]"]), (("ga",), [])])
def test_a_definition_chooses_methods_by_name_or_label(methods, kept):
    records = [record for label in ("a", "gan[k=1]", "gan[k=2]") for record in scored(label, 5.0)]
    failed = make_record("gan[k=3]", status="failed", method_given={"k": 3})
    board = make_board(defined(methods=methods), [*records, failed])
    assert labels(board) == kept
    assert len(board.failures) == (1 if methods in ((), ("gan",)) else 0)
    assert len(board.records) == len(kept) + len(board.failures)


def test_a_definition_chooses_the_source_of_the_data():
    records = [make_record("a", source="official"), make_record("b", source="mirror")]
    assert labels(make_board(defined(source="mirror"), records)) == ["b"]


def test_a_board_without_records_is_whole():
    board = make_board(defined(reference="identity"), [])
    assert (board.records, board.failures, board.final.rows, board.final.columns) == ((),) * 4
    assert (board.superseded, board.seeds, board.reference, board.notice) == (0, (), "", "")
    assert board.datasets == ("w2-early",)


def test_the_notice_of_any_record_stands_at_the_head():
    records = [make_record("a"), make_record("b", notice="A stand-in.")]
    assert only(records).notice == "A stand-in."


# Rows


def test_the_order_of_records_does_not_matter():
    records = [record for dim in (2, 4, 16) for lam in (0, 1, 2, 10, 100)
               for record in mix_records({f"wgan-gp[lambda={lam}]": {dim: 5.0 + lam % 3}})]
    records += [make_record("dead", status="failed", seed=seed, title=MIX[0],
                            fingerprint=f"{2:064d}") for seed in (1, 0)]
    records += mix_records({"ots": {2: 5.0}}, precision="bf16")
    for record in records:
        if record.identity.label == "ots":
            record.values.final["psnr"] = make_metric("psnr", 20.0)
    definitions = [Definition(name="mix", title="M", preset="quick", datasets=MIX[:2]),
                   Definition(name="also", title="M", preset="quick", datasets=MIX)]
    expected = [board_data(board) for board in make_boards(records, definitions=definitions)]
    assert len(expected) == 2
    for seed in range(5):
        shuffled = random.Random(seed).sample(records, len(records))
        found = make_boards(shuffled, definitions=definitions)
        assert [board_data(board) for board in found] == expected


def test_sweeps_are_in_numerical_order_where_values_tie():
    values = ["0", "0.1", "1", "2", "10", "100", "1e3"]
    records = [make_record(f"wgan-gp[lambda={lam}]") for lam in sorted(values)]
    assert labels(only(records)) == [f"wgan-gp[lambda={lam}]" for lam in values]
    assert natural_key("a[lambda=2]") < natural_key("a[lambda=10]") < natural_key("b")


def test_a_target_metric_ranks_by_distance_to_the_hr_images():
    board = only([make_record(name, metrics={"palette": value})
                  for name, value in [("over", 0.20), ("near", 0.15), ("under", 0.10)]])
    assert labels(board) == ["near", "over", "under"]
    assert [row.entries[0].best for row in board.final.rows] == [True, False, False]


def test_no_metrics_at_all_still_makes_a_table_of_costs():
    board = only([make_record(metrics={})])
    assert labels(board) == ["ots"]
    assert board.final.columns == ()
    assert board.final.rows[0].costs.seconds == 12.5


def test_older_records_of_a_cell_are_counted_and_left_out():
    board = only([make_record(metrics={"l2-uvp": 9.0}, finished="2026-01-01T00:00:00+00:00"),
                  make_record(metrics={"l2-uvp": 5.0}, finished="2026-01-02T00:00:00+00:00")])
    assert board.superseded == 1
    assert board.final.rows[0].entries[0].mean == 5.0
    assert board.final.rows[0].seeds == (0,)


def test_older_records_that_the_board_does_not_want_are_not_counted():
    old = [make_record(name, finished="2026-01-01T00:00:00+00:00") for name in ("a", "b")]
    board = make_board(defined(methods=("a",)), [*old, make_record("a"), make_record("b")])
    assert board.superseded == 1


def test_precisions_and_budgets_are_rows_of_their_own():
    records = [make_record(), make_record(precision="bf16", metrics={"l2-uvp": 7.0}),
               make_record(budget="60s", metrics={"l2-uvp": 8.0})]
    assert labels(only(records)) == ["ots (fp32, no budget)", "ots (bf16, no budget)",
                                     "ots (fp32, budget 60s)"]


def test_published_values_find_their_method_whatever_its_precision():
    published = Expected(label="ots", metric="l2-uvp", dataset="w2-early", value=6.0,
                         tolerance=0.2, source="T")
    records = [make_record(), make_record(precision="bf16", metrics={"l2-uvp": 7.0})]
    board = make_board(defined(published=(published,)), records)
    assert [row.entries[0].published.verdict for row in board.final.rows] == [
        "reproduced", "not reproduced"]
    assert board.final.absent == ()


def test_published_methods_without_a_finished_cell_are_absent_rows():
    published = tuple(Expected(label=label, metric="psnr", dataset="w2-early", value=value,
                               tolerance=0.1, source="T") for label, value in
                      [("dasr", 20.0), ("ots", 24.3), ("esrgan", 21.0)])
    board = make_board(defined(published=published), [
        make_record("ots"), make_record("esrgan", status="failed")])
    assert [(label, {name: value.value for name, value in values.items()})
            for label, values in board.final.absent] == [
        ("dasr", {"psnr": 20.0}), ("esrgan", {"psnr": 21.0})]
    assert entry(board, "ots", "psnr").published.verdict == "reproduced"
    assert entry(board, "ots", "l2-uvp").published is None
    assert board.oracle.absent == ()


@pytest.mark.parametrize(("rows", "wanted", "expected"), [
    (["ots", "identity", "bicubic"], "", "bicubic"), (["ots", "identity"], "", "identity"),
    (["ots", "gan"], "", ""), (["ots", "identity"], "ots", "ots"), (["ots"], "identity", ""),
    (["ots", "identity-like"], "", "")])
def test_the_method_that_others_are_compared_with(rows, wanted, expected):
    records = [make_record(label, metrics={"l2-uvp": 5.0 + place})
               for place, label in enumerate(rows)]
    assert make_board(defined(reference=wanted), records).reference == expected


# Gaps


def test_a_method_without_the_ranking_value_comes_last_with_the_reason():
    missing = make_metric("l2-uvp", None, unavailable="the weights are absent",
                          remedy="srbench fetch vgg16")
    board = only([make_record("a", metrics={"l2-uvp": missing, "psnr": 30.0}),
                  make_record("b", metrics={"l2-uvp": 5.0, "psnr": 20.0})])
    assert labels(board) == ["b", "a"]
    gap = board.final.gaps[0]
    assert (gap.column, gap.labels) == ("l2-uvp", ("a",))
    assert (gap.why, gap.remedy) == ("the weights are absent", "srbench fetch vgg16")
    assert entry(board, "a").gap == 1
    assert entry(board, "a", "psnr").gap is None
    assert board.final.missing(gap) == "L2-UVP of a"


def test_a_reason_shared_by_all_is_said_once():
    missing = make_metric("lpips", None, unavailable="no weights")
    board = only([make_record(name, metrics={"l2-uvp": 5.0, "lpips": missing}) for name in "abc"])
    assert len(board.final.gaps) == 1
    assert board.final.missing(board.final.gaps[0]) == "LPIPS of all methods"


def test_gaps_are_numbered_in_the_order_of_columns_and_rows():
    why = {"a": "too small", "b": "too large", "c": "too small"}
    board = only([make_record(name, metrics={
        "l2-uvp": place, "psnr": make_metric("psnr", None, unavailable=why[name]),
        "lpips": make_metric("lpips", None, unavailable=why[name])})
        for place, name in enumerate("abc")])
    assert [(gap.column, gap.labels) for gap in board.final.gaps] == [
        ("psnr", ("a", "c")), ("psnr", ("b",)), ("lpips", ("a", "c")), ("lpips", ("b",))]
    assert [[own.gap for own in row.entries] for row in board.final.rows] == [
        [None, 1, 3], [None, 2, 4], [None, 1, 3]]


def test_a_metric_that_one_method_was_not_measured_by():
    board = only([make_record("a", metrics={"l2-uvp": 1.0}),
                  make_record("b", metrics={"l2-uvp": 2.0, "psnr": 20.0})])
    assert board.final.gaps[0].why == "not measured in this run"


def test_gaps_between_protocols_name_the_other():
    board = only([make_record("a", metrics={"psnr": make_metric("psnr", 20.0, protocol="p/1")}),
                  make_record("b", metrics={"psnr": make_metric("psnr", 24.0, protocol="p/2")})])
    assert [gap.why for gap in board.final.gaps] == ["measured by another protocol, p/2",
                                                     "measured by another protocol, p/1"]


def test_a_value_that_is_not_there_for_no_reason():
    board = only([make_record("a", metrics={"psnr": None}), make_record("b")])
    assert [gap.why for gap in board.final.gaps if gap.column == "psnr"] == [
        "no value was computed"]


def test_methods_that_miss_a_dataset_have_a_gap_that_says_so():
    records = [*mix_records({"a": {2: 1.0, 4: 2.0}, "b": {2: 3.0}}),
               *mix_records({"b": {4: 0.0}}, status="crashed")]
    board = mix_board(records)
    assert [own.mean for own in row_of(board, "b").entries] == [3.0, None]
    gap, = board.final.gaps
    assert gap.why == "not run, or not finished, on mix3tomix10[dim=4]"
    assert board.final.missing(gap) == "L2-UVP, dim=4 of b"
    assert entry(board, "b", "l2-uvp dim=4").gap == 1


def test_without_a_value_on_the_rank_dataset_a_method_comes_last():
    board = mix_board(mix_records({"a": {4: 0.5}, "b": {2: 3.0, 4: 9.0}, "c": {2: 2.0}}))
    assert labels(board) == ["c", "b", "a"]
    assert entry(board, "a", "l2-uvp dim=4").best


def test_the_oracle_has_a_table_of_its_own():
    board = only([make_record(metrics={"l2-uvp": 6.0}, oracle={"l2-uvp": 5.0})])
    assert board.final.rows[0].entries[0].mean == 6.0
    assert board.oracle.rows[0].entries[0].mean == 5.0
    assert only([make_record()]).oracle.rows == ()


def test_the_oracle_lists_only_methods_it_was_asked_about():
    board = only([make_record("a", oracle={"l2-uvp": 5.0}), make_record("identity")])
    assert [row.label for row in board.oracle.rows] == ["a"]
    assert board.oracle.gaps == ()
    assert all(own.against == () for row in board.oracle.rows for own in row.entries)


# Failures and notes


@pytest.mark.parametrize("status", ["failed", "crashed", "timeout", "oom", "diverged",
                                    "interrupted", "skipped", "missing-dependency"])
def test_what_did_not_finish_is_listed(status):
    record = make_record("b[lambda=10]", status=status, reason="because", seed=4)
    board = only([make_record("a"), record])
    failure = board.failures[0]
    assert (failure.label, failure.seed, failure.status) == ("b[lambda=10]", 4, status)
    assert (failure.reason, failure.dataset) == ("because", "w2-early")
    assert failure.log == f"cells/{record.identity.key}/log.txt"
    assert failure.tail == ("step 310", "gradient is NaN")
    assert labels(board) == ["a"]
    assert board.seeds == (0,)


def test_failures_are_sorted_by_label_dataset_and_seed():
    records = [make_record(label, status="failed", seed=seed, title=title)
               for label in ("b[k=10]", "b[k=9]") for title in MIX[1::-1] for seed in (1, 0)]
    records[0].outcome.exit_detail = "signal 9"
    board = mix_board(records)
    assert [(own.label, own.dataset, own.seed) for own in board.failures] == [
        (label, title, seed) for label in ("b[k=9]", "b[k=10]") for title in MIX[:2]
        for seed in (0, 1)]
    assert [own.reason for own in board.failures].count("signal 9") == 1


def test_notes_of_finished_cells_are_gathered_with_their_methods():
    records = [make_record(name, seed=seed) for name in ("a", "b") for seed in (0, 1)]
    for record in records:
        record.outcome.notes = ["small networks"] + ["tiles"] * (record.identity.label == "b")
    failed = make_record("c", status="failed")
    failed.outcome.notes = ["never shown"]
    board = only([*records, failed])
    assert board.notes == (("small networks", ("a", "b")), ("tiles", ("b",)))


# Samples


def test_samples_are_made_once_and_only_of_records_with_a_value():
    calls = []

    def evidence(records, metric):
        calls.append((metric, len(records)))
        return from_record(records, metric)

    records = [*scored("a", [1.0, 2.0]), make_record("a", seed=2, metrics={"l2-uvp": None})]
    board = only(records)
    samples = Samples({"w2-early": {"a": records}}, "final", evidence)
    column, = board.final.columns
    assert samples.get("a", column) is samples.get("a", column)
    assert samples.get("b", column) is None
    assert calls == [("l2-uvp", 2)]


def test_a_sample_of_records_says_whether_anything_was_trained():
    trained, plain = scored("a", 1.0), scored("b", 1.0, seconds_fit=0.0)
    assert from_record(trained, "l2-uvp").trained
    assert not from_record(plain, "l2-uvp").trained
    oracle = from_record([make_record(oracle={"l2-uvp": 2.5})], "l2-uvp", "oracle")
    assert oracle.values.tolist() == [2.5]


def test_the_default_board_of_any_title_takes_its_records():
    for title in ("w2-early", "mix[dim=2]", "<b>&\u202e", "x" * 300):
        record = make_record(title=title)
        assert default_definition(title, "quick").wants(record)
        assert labels(only([record])) == ["ots"]
