"""Columns: which there are, their names, their order, and which one ranks."""

from __future__ import annotations

import pytest

from srbench.boards.board import Column
from srbench.boards.columns import finished, inapplicable, is_inapplicable, make_columns
from srbench.boards.definition import Definition, Expected
from srbench.boards.table import make_board
from srbench.registry.infos import MetricInfo
from tests.boards.worlds import MIX, entry, labels, mix_board, mix_records, names, only
from tests.results.factory import make_metric, make_record

GONE = "does not apply: the true map is not known"


def defined(**changes):
    return Definition(**{"name": "w2", "title": "W2", "preset": "quick",
                         "datasets": ("w2-early",), **changes})


def info(name: str, **changes) -> MetricInfo:
    return MetricInfo(**{"name": name, "title": name.upper(), "summary": f"What {name} measures.",
                         "direction": "lower", "load": "nowhere.plugin:Metric", **changes})


def column(**changes) -> Column:
    return Column(**{"name": "x", "metric": "x", "title": "X", "unit": "%", "direction": "lower",
                     "decimals": 1, "protocol": "x/v1", "count": 5, "reference": {}, **changes})


@pytest.mark.parametrize(("direction", "value", "expected"), [
    ("lower", 2.5, 2.5), ("higher", 2.5, -2.5), ("target", 2.5, 1.5), ("target", 5.0, 1.0)])
def test_badness_grows_as_values_get_worse(direction, value, expected):
    assert column(direction=direction, reference={"hr": 4.0}).badness(value) == expected


def test_badness_of_a_target_that_is_not_known_is_no_number():
    found = column(direction="target", reference={"lr": 1.0}).badness(2.0)
    assert found != found


def test_what_a_column_says_of_itself():
    found = column(direction="target", about="dim=4", decimals=3)
    assert (found.arrow, found.heading, found.show(1.23456)) == ("≈", "X, dim=4", "1.235")
    assert found.words == "closer to the value of the HR images is better"
    assert column(direction="higher").words == "higher is better"
    assert column().heading == "X"


def test_a_zero_shows_no_minus():
    shown = column(decimals=2)
    assert [shown.show(value) for value in (-0.001, -0.0, 0.004, -0.006)] == [
        "0.00", "0.00", "0.00", "-0.01"]


def test_l2_uvp_ranks_even_where_another_metric_comes_first():
    board = only([make_record("a", metrics={"psnr": 30.0, "l2-uvp": 9.0}),
                  make_record("b", metrics={"psnr": 20.0, "l2-uvp": 2.0})])
    assert labels(board) == ["b", "a"]
    assert names(board) == ["l2-uvp", "psnr"]


def test_without_l2_uvp_the_first_of_the_ranking_metrics_with_values_ranks():
    values = {"a": (0.1, 20.0), "b": (0.2, 30.0)}
    board = only([make_record(name, metrics={"psnr": psnr, "lpips": lpips})
                  for name, (lpips, psnr) in values.items()])
    assert labels(board) == ["a", "b"]
    assert names(board)[0] == "lpips"
    gone = make_metric("lpips", None, unavailable="no weights", remedy="srbench fetch weights")
    board = only([make_record(name, metrics={"lpips": gone, "psnr": psnr})
                  for name, (_, psnr) in values.items()])
    assert labels(board) == ["b", "a"]
    assert names(board) == ["psnr", "lpips"]


def test_without_any_ranking_metric_the_first_one_ranks():
    board = only([make_record(metrics={"zeta": 1.0, "alpha": 2.0})])
    assert names(board) == ["zeta", "alpha"]


def test_a_definition_orders_its_columns_and_the_rest_follow():
    records = [make_record(metrics={"l2-uvp": 1.0, "cosine": 0.5, "psnr": 20.0, "lpips": 0.3})]
    board = make_board(defined(columns=("psnr", "lpips")), records)
    assert names(board) == ["psnr", "lpips", "l2-uvp", "cosine"]


def test_the_ranking_column_of_a_definition_gives_way_where_it_has_no_value():
    gone = make_metric("lpips", None, unavailable="no weights")
    records = [make_record(metrics={"lpips": gone, "l2-uvp": 3.0, "psnr": 20.0})]
    board = make_board(defined(columns=("lpips", "psnr")), records)
    assert names(board) == ["psnr", "lpips", "l2-uvp"]


def test_metrics_that_apply_to_no_method_have_no_column_but_a_line_that_says_why():
    gone = make_metric("l2-uvp", None, unavailable=GONE)
    cosine = make_metric("cosine", None, unavailable=GONE)
    missing = make_metric("lpips", None, unavailable="no weights", remedy="srbench fetch weights")
    records = [make_record(name, metrics={"l2-uvp": gone, "lpips": missing, "psnr": 20.0,
                                          "cosine": cosine}) for name in ("a", "b")]
    table = only(records).final
    assert [column.name for column in table.columns] == ["psnr", "lpips"]
    assert table.inapplicable == ((GONE, ("L2-UVP", "Cosine")),)
    assert [gap.column for gap in table.gaps] == ["lpips"]
    assert inapplicable(records, "final") == table.inapplicable
    assert inapplicable(records, "oracle") == ()


def test_a_metric_that_applies_to_one_method_keeps_its_column():
    gone = make_metric("l2-uvp", None, unavailable=GONE)
    table = only([make_record("a", metrics={"l2-uvp": gone}),
                  make_record("b", metrics={"l2-uvp": 4.0})]).final
    assert [column.name for column in table.columns] == ["l2-uvp"]
    assert table.inapplicable == ()
    assert (table.gaps[0].labels, table.gaps[0].why) == (("a",), GONE)


def test_a_failure_is_not_taken_for_a_metric_that_does_not_apply():
    assert is_inapplicable(make_metric("l2-uvp", None, unavailable=GONE))
    assert not is_inapplicable(make_metric("l2-uvp", None, unavailable="it does not apply here"))
    assert not is_inapplicable(make_metric("l2-uvp", 3.0))


def test_two_protocols_are_two_columns():
    board = only([make_record("a", metrics={"psnr": make_metric("psnr", 20.0, protocol="p/1")}),
                  make_record("b", metrics={"psnr": make_metric("psnr", 24.0, protocol="p/2")})])
    assert names(board) == ["psnr (p/1)", "psnr (p/2)"]
    assert [column.protocol for column in board.final.columns] == ["p/1", "p/2"]
    assert entry(board, "a", "psnr (p/1)").mean == 20.0
    assert entry(board, "a", "psnr (p/2)").mean is None


def test_the_count_is_the_largest_and_the_reference_the_first_there_is():
    values = [make_metric("palette", 0.1, count=10, reference={}),
              make_metric("palette", 0.2, count=30, reference={"hr": 0.5}),
              make_metric("palette", 0.3, count=20, reference={"hr": 0.5, "lr": 0.1})]
    board = only([make_record(name, metrics={"palette": value})
                  for name, value in zip("abc", values, strict=True)])
    assert board.final.columns[0].count == 30
    assert board.final.columns[0].reference == {"hr": 0.5}


@pytest.mark.parametrize(("decimals", "kept"), [(-3, 0), (2, 2), (10**9, 12)])
def test_any_number_of_decimals_can_be_shown(decimals, kept):
    board = only([make_record(metrics={"psnr": make_metric("psnr", 20.0, decimals=decimals)})])
    shown, = board.final.columns
    assert shown.decimals == kept
    assert len(shown.show(20.0)) <= 15


def test_definitions_of_metrics_are_those_installed():
    board = only([make_record(metrics={"psnr": 20.0, "own": 1.0})], metrics={"psnr": info("psnr")})
    assert [column.definition for column in board.final.columns] == ["What psnr measures.", ""]


def test_columns_of_several_datasets_are_named_by_what_differs():
    board = mix_board(mix_records({"ots": {2: 1.0, 4: 2.0, 16: 3.0}}))
    assert names(board) == ["l2-uvp dim=2", "l2-uvp dim=4", "l2-uvp dim=16"]
    assert [column.dataset for column in board.final.columns] == list(MIX)
    assert [column.about for column in board.final.columns] == ["dim=2", "dim=4", "dim=16"]
    assert [column.heading for column in board.final.columns][2] == "L2-UVP, dim=16"
    assert [own.mean for own in board.final.rows[0].entries] == [1.0, 2.0, 3.0]


def test_the_rank_dataset_comes_first_and_the_others_in_the_definitions_order():
    records = mix_records({"a": {2: 1.0, 4: 2.0, 16: 9.0}, "b": {2: 2.0, 4: 1.0, 16: 3.0}})
    board = mix_board(records, rank=MIX[2])
    assert names(board) == ["l2-uvp dim=16", "l2-uvp dim=2", "l2-uvp dim=4"]
    assert labels(board) == ["b", "a"]


def test_metrics_in_a_definition_keep_their_dimensions_together():
    records = mix_records({"a": {2: 1.0, 4: 2.0}})
    for record in records:
        record.values.final["cosine"] = make_metric("cosine", 0.9)
    board = mix_board(records, columns=("l2-uvp", "cosine"))
    assert names(board) == ["l2-uvp dim=2", "l2-uvp dim=4", "cosine dim=2", "cosine dim=4"]
    board = mix_board(records)
    assert names(board) == ["l2-uvp dim=2", "cosine dim=2", "l2-uvp dim=4", "cosine dim=4"]


def columns_of(titles):
    data = {title: [make_record(title=title)] for title in titles}
    found = make_columns(data, "final", defined(datasets=tuple(titles)), metrics={})
    return [column.about for column in found if column.metric == "l2-uvp"]


@pytest.mark.parametrize(("titles", "about"), [
    (["mix[dim=2]"], [""]),
    (["mix[dim=1]", "mix[dim=16]"], ["dim=1", "dim=16"]),
    (["mix[a=1,dim=2]", "mix[a=1,dim=3]"], ["a=1,dim=2", "a=1,dim=3"]),
    (["w2-early", "w2-middle"], ["w2-early", "w2-middle"]),
    (["w2-early", "w2-early@embedded"], ["w2-early", "w2-early@embedded"]),
    (["mix", "mix[dim=2]"], ["mix", "mix[dim=2]"]),
    (["mix[dim=2]", "mix[dim=4]", "other"], ["mix[dim=2]", "mix[dim=4]", "other"]),
    (["mix[a]", "mix[a]]"], ["mix[a]", "mix[a]]"]),
])
def test_what_tells_datasets_apart(titles, about):
    assert columns_of(titles) == about
    assert len(set(about)) == len(about)


def expected(**changes):
    return Expected(**{"label": "ots", "metric": "l2-uvp", "dataset": "w2-early", "value": 1.4,
                       "tolerance": 0.2, "source": "Table 2", **changes})


def test_a_board_that_nobody_ran_has_the_columns_of_what_was_published():
    definition = defined(columns=("psnr", "l2-uvp"), published=(
        expected(), expected(metric="psnr", value=20.0), expected(metric="unknown")))
    infos = {"l2-uvp": info("l2-uvp", unit="%", decimals=1), "psnr": info("psnr", unit="dB"),
             "lpips": info("lpips")}
    board = make_board(definition, [], metrics=infos)
    assert names(board) == ["psnr", "l2-uvp"]
    assert board.final.columns[1].unit == "%"
    assert board.final.columns[1].definition == "What l2-uvp measures."
    (label, values), = board.final.absent
    assert label == "ots"
    assert {name: (value.value, value.verdict) for name, value in values.items()} == {
        "psnr": (20.0, "not tried"), "l2-uvp": (1.4, "not tried")}
    assert board.oracle.columns == ()


def test_published_values_of_several_datasets_stand_in_their_own_columns():
    definition = Definition(
        name="mix", title="Mixtures", preset="quick", datasets=MIX[:2], rank=MIX[0],
        published=(expected(dataset=MIX[0], value=0.1), expected(dataset=MIX[1], value=0.3)))
    board = make_board(definition, [], metrics={"l2-uvp": info("l2-uvp")})
    assert names(board) == ["l2-uvp dim=2", "l2-uvp dim=4"]
    (_, values), = board.final.absent
    assert {name: value.value for name, value in values.items()} == {
        "l2-uvp dim=2": 0.1, "l2-uvp dim=4": 0.3}


def test_without_the_plugin_of_a_published_metric_there_is_no_column():
    board = make_board(defined(published=(expected(),)), [])
    assert board.final.columns == ()
    assert board.final.absent == ()


def test_finished_records():
    ok, validated = make_record(), make_record("b", oracle={"l2-uvp": 5.0})
    failed = make_record("c", status="failed", oracle={"l2-uvp": 5.0})
    assert finished([ok, validated, failed], "final") == [ok, validated]
    assert finished([ok, validated, failed], "oracle") == [validated]


def test_datasets_stand_as_the_definition_lists_them():
    order = (MIX[2], MIX[0], MIX[1])
    records = mix_records({"a": {2: 1.0, 4: 2.0, 16: 3.0}})
    board = mix_board(records, datasets=order, rank=order[0])
    assert names(board) == ["l2-uvp dim=16", "l2-uvp dim=2", "l2-uvp dim=4"]
    assert board.datasets == order
