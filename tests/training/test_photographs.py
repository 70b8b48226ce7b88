"""Trainings on photographs: sizes of crops, whole images, scratch folders, shares of a budget."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import pytest
import torch

from srbench import Parameters
from srbench.errors import DataError, Interrupted, StoreError
from srbench.results.artefacts import list_artefacts
from srbench.training import Budget, Training, mix
from srbench.training.scratch import FOLDER, Scratch
from srbench_two_stage.schedules import halved, linear_decay
from tests.methods.photographs import Waves


def on_waves(toy, folder=None, **options):
    dataset = Waves()
    method = toy.Map(Parameters(), dataset.problem)
    return dataset, Training(method, dataset, seed=7, device=toy.CPU, folder=folder, **options)


class TestCropsOfAnotherSize:
    @pytest.mark.parametrize(("size", "lr", "hr"), [(None, 32, 128), (40, 40, 40), (272, 272, 272)])
    def test_have_the_side_that_is_asked_for(self, toy, size, lr, hr):
        _, training = on_waves(toy)
        for _ in training.steps(1):
            for found, side in ((training.lr(2, size), lr), (training.hr(2, size=size), hr)):
                assert found.shape == (2, 3, side, side)
                assert found.dtype == torch.float32
                assert found.is_contiguous(memory_format=torch.channels_last)
                assert -1 <= found.min() < found.max() <= 1
        assert training.finish().stages[0].images == 4

    def test_are_the_same_draws_whatever_else_is_drawn(self, toy):
        """Draw k of a stream is seeded by (seed, stream, k), sized or not."""
        dataset, training = on_waves(toy)
        for _ in training.steps(1):
            drawn = [training.lr(2), training.lr(1, 50), training.hr(1, 60), training.lr(2)]
        for number, (found, size) in enumerate([(drawn[0], None), (drawn[1], 50),
                                                (drawn[3], None)]):
            generator = torch.Generator().manual_seed(mix(7, "lr", number))
            assert torch.equal(found, dataset.sample_lr(len(found), generator, size))

    def test_are_not_taken_from_a_pool(self, toy, monkeypatch):
        monkeypatch.setattr(Waves, "pool", property(lambda self: toy.small_pool()))
        _, training = on_waves(toy)
        for _ in training.steps(1):
            assert training.lr(40, 50).shape == (40, 3, 50, 50)  # more than the pool holds
            assert training.lr(4).shape == (4, 3, 32, 32)

    @pytest.mark.parametrize("role", ["lr", "hr"])
    def test_are_refused_by_name_where_there_are_none(self, toy, role):
        _, training = toy.cell(None)
        assert getattr(training, role)(2).shape == (2, 3, 6, 6)
        with pytest.raises(DataError, match="toy has samples of one size only, not of 12") as error:
            getattr(training, role)(2, size=12)
        assert 'problem.domain is "sr"' in error.value.hint

    def test_of_a_wrong_shape_are_named(self, toy, monkeypatch):
        monkeypatch.setattr(Waves, "sample_hr",
                            lambda self, n, generator, size=None: torch.zeros(n, 3, 8, 8))
        _, training = on_waves(toy)
        with pytest.raises(ValueError, match=r"sample_hr\(2\) returned .*, not \(2, 3, 16, 16\)"):
            training.hr(2, 16)


class TestWholeImages:
    def test_are_those_of_the_dataset_in_the_range_of_the_harness(self, toy):
        dataset, training = on_waves(toy)
        for role in ("lr", "hr"):
            images, raw = training.images(role), dataset.train_images(role)
            assert len(images) == len(raw)
            for found, expected, index in zip(images, raw, range(len(raw)), strict=True):
                assert found.dtype == torch.float32
                torch.testing.assert_close(found, expected[None].double().div(127.5).sub(1),
                                           rtol=0, atol=1e-6, check_dtype=False)
                assert images.raw(index) is expected
                assert images.shape(index) == tuple(expected.shape[1:])

    def test_are_charged_when_they_are_read_and_only_then(self, toy):
        _, training = on_waves(toy)
        for step in training.stage("pairs").steps(2):
            images = training.images("hr")
            images.shape(0), images.raw(1), len(images)
            images[step.index]
            training.charge(images=10)
        training.images("lr")[0]
        result = training.finish()
        assert {cost.name: cost.images for cost in result.stages} == {
            "pairs": 22, "outside stages": 1}

    def test_there_are_none_of_other_data(self, toy):
        _, training = toy.cell(None)
        with pytest.raises(DataError, match="toy has no whole photographs"):
            training.images("lr")

    def test_work_done_again_is_not_charged(self, toy):
        _, training = on_waves(toy)
        f = training.track(f=torch.nn.Flatten())
        for _ in training.steps(2):
            f(training.lr(3))
            before = training._state.ledger.seconds
            with training.uncharged():
                f(training.images("hr")[0])
                training.charge(images=100)
                training.lr(2)
                time.sleep(0.05)
            assert training._state.ledger.seconds - before < 0.04
            training.charge(images=1)
        result = training.finish()
        assert result.stages[0].images == 2 * (3 + 1)
        assert result.stages[0].calls == {"f": 2 * 3}
        assert result.seconds < 0.1


def use_scratch(training: Training) -> list[Path]:
    folders = []
    for _ in training.steps(2):
        path = training.scratch("pairs")
        (path / "a").write_text("x")
        folders.append(path)
    return folders


class TestScratch:
    def test_is_hidden_in_the_cell_kept_on_a_stop_and_removed_at_the_end(self, toy, tmp_path):
        _, training = on_waves(toy, tmp_path, should_stop=lambda: True)
        with pytest.raises(Interrupted):
            use_scratch(training)
        kept = tmp_path / FOLDER / "pairs" / "a"
        assert kept.read_text() == "x"
        assert [one for one in list_artefacts(tmp_path) if FOLDER in str(one)] == []
        _, training = on_waves(toy, tmp_path)
        assert training.scratch("pairs") == kept.parent
        assert kept.exists()
        use_scratch(training)
        training.finish()
        assert not (tmp_path / FOLDER).exists()

    def test_is_kept_when_the_training_fails(self, toy, tmp_path):
        _, training = on_waves(toy, tmp_path)
        with pytest.raises(ZeroDivisionError):
            toy.exhaust(training.steps(1), lambda step: (training.scratch("a"), 1 / 0))
        assert (tmp_path / FOLDER / "a").is_dir()

    def test_lives_elsewhere_as_long_as_the_training_without_a_folder(self, toy):
        _, training = on_waves(toy)
        first, second = use_scratch(training)
        assert first == second
        assert first.is_dir()
        assert training.scratch("other").parent == first.parent
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            training.finish()
            assert not first.parent.exists()
            del training

    @pytest.mark.parametrize("name", ["", "..", "a/b", ".a", "A", "a b", "-a", "a.b"])
    def test_names_that_would_leave_it_are_refused(self, tmp_path, name):
        with pytest.raises(ValueError, match="scratch folder"):
            Scratch(tmp_path).folder(name)
        assert not (tmp_path / FOLDER).exists()

    def test_a_disk_that_refuses_is_a_store_error(self, tmp_path):
        (tmp_path / FOLDER).write_text("in the way")
        with pytest.raises(StoreError, match="cannot write"):
            Scratch(tmp_path).folder("a")

    def test_clearing_what_was_never_used_does_nothing(self, tmp_path):
        Scratch(tmp_path).clear()
        Scratch(None).clear()
        assert list(tmp_path.iterdir()) == []


class TestSharesOfABudget:
    @pytest.mark.parametrize(("budget", "share", "expected"), [
        (Budget(steps=100), 0.4, Budget(steps=40)), (Budget(steps=100), 1.0, Budget(steps=100)),
        (Budget(steps=1), 0.4, Budget(steps=1)), (Budget(steps=7), 0.5, Budget(steps=4)),
        (Budget(seconds=60), 0.25, Budget(seconds=15)), (Budget(), 0.3, Budget()),
        (Budget(seconds=10, steps=10), 0.5, Budget(seconds=5, steps=5))])
    def test_are_parts_of_both_limits(self, budget, share, expected):
        assert budget.until(share) == expected

    @pytest.mark.parametrize(("text", "seconds"), [("3min", 180), ("1.5min", 90), ("3 min", 180)])
    def test_minutes_may_be_written_out(self, text, seconds):
        assert Budget.parse(text) == Budget(seconds=seconds)

    @pytest.mark.parametrize("until", [0, -0.1, 1.1, float("nan")])
    def test_a_share_out_of_its_bounds_is_named(self, toy, until):
        _, training = toy.cell(None)
        with pytest.raises(ValueError, match=r"stage 'a': until="):
            training.stage("a", until=until)

    @pytest.mark.parametrize(("steps", "wanted", "expected"), [
        (20, (100, 100, 100), [8, 2, 10]), (20, (3, 100, 100), [3, 7, 10]),
        (20, (100, 1, 100), [8, 1, 11]), (1, (9, 9, 9), [1, 0, 0]), (2, (9, 9, 9), [1, 0, 1]),
        (500, (5, 5, 5), [5, 5, 5]), (None, (5, 5, 5), [5, 5, 5])])
    def test_end_stages_by_steps(self, toy, steps, wanted, expected):
        """Shares 0.4, 0.5 and 1 of all steps: what a stage leaves goes to those behind it."""
        _, training = toy.cell(None, validate=None,
                               budget=None if steps is None else Budget(steps=steps))
        for name, until, count in zip("abc", (0.4, 0.5, 1.0), wanted, strict=True):
            toy.exhaust(training.stage(name, until=until).steps(count), lambda step: None)
        assert [cost.steps for cost in training.finish().stages] == expected

    def test_end_stages_by_time(self, toy):
        _, training = toy.cell(None, validate=None, budget=Budget(seconds=0.6))
        for name, until in zip("abc", (0.4, 0.6, 1.0), strict=True):
            toy.exhaust(training.stage(name, until=until).steps(10**6),
                        lambda step: time.sleep(0.01))
        seconds = [cost.seconds for cost in training.finish().stages]
        assert seconds[0] == pytest.approx(0.24, abs=0.1)
        assert sum(seconds[:2]) == pytest.approx(0.36, abs=0.1)
        assert 0.6 <= sum(seconds) < 0.9

    def test_are_the_same_after_a_resume(self, toy, tmp_path):
        for stop in (3, 9, None):
            asked: list = []
            _, training = toy.cell(tmp_path, validate=None, budget=Budget(steps=20),
                                   should_stop=lambda a=asked, s=stop: a.append(0) or len(a) == s)
            try:
                for name, until in zip("abc", (0.4, 0.5, 1.0), strict=True):
                    toy.exhaust(training.stage(name, until=until).steps(100), lambda step: None)
            except Interrupted:
                continue
        assert [cost.steps for cost in training.finish().stages] == [8, 2, 10]

    def test_validations_are_spread_over_the_stages_own_share(self, toy):
        told = []
        _, training = toy.cell(None, budget=Budget(steps=20), validations=2,
                               on_event=lambda event: told.append((event["stage"], event["step"]))
                               if event["event"] == "validation" else None)
        for name, until in zip("ab", (0.5, 1.0), strict=True):
            toy.exhaust(training.stage(name, until=until).steps(100), lambda step: None)
        assert told == [("a", 5), ("a", 10), ("b", 5), ("b", 10)]


class TestSchedules:
    def test_halving_takes_effect_in_the_update_of_the_milestone(self):
        """torch's MultiStepLR, stepped before the optimiser as the released codes do."""
        weight = torch.nn.Parameter(torch.zeros(()))
        optimizer = torch.optim.SGD([weight], 1.0)
        milestones = [3, 5, 6]
        scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.5)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for step in range(9):
                scheduler.step()
                assert halved(step, milestones) == optimizer.param_groups[0]["lr"], step
        assert [halved(step, milestones) for step in (1, 2, 3, 4, 5, 100)] == [
            1, 0.5, 0.5, 0.25, 0.125, 0.125]
        assert halved(10**6, []) == 1

    @pytest.mark.parametrize(("steps", "epochs", "decaying"), [
        (49_800, 300, 150), (132_800, 400, 150)])
    def test_decay_at_the_corners_of_the_published_lengths(self, steps, epochs, decaying):
        batches = steps // epochs
        first = (epochs - decaying) * batches

        def rate(step):
            return linear_decay(step, steps, epochs=epochs, decaying=decaying)

        assert rate(0) == rate(first - 1) == 1
        assert rate(first + batches - 1) == 1  # the first decaying epoch is still at 1
        assert rate(first + batches) == pytest.approx(1 - 1 / decaying)
        assert rate(steps - 1) == pytest.approx(1 / decaying)
        for epoch in range(0, epochs, 7):
            expected = 1 - max(0, epoch - (epochs - decaying)) / decaying
            assert rate(epoch * batches) == rate((epoch + 1) * batches - 1) == expected

    @pytest.mark.parametrize("steps", [1, 2, 7, 150])
    def test_decay_of_short_trainings_falls_and_stays_above_zero(self, steps):
        rates = [linear_decay(step, steps, epochs=300, decaying=150) for step in range(steps)]
        assert rates[0] == 1
        assert rates == sorted(rates, reverse=True)
        assert min(rates) > 0
        assert all(rate == 1 for rate in rates[:steps // 2])
