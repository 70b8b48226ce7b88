"""Generated pairs: what each recipe stores, and that crops of LR, HR and weights stay aligned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srbench.errors import DataError
from srbench.imagestore import turned
from srbench.training import Budget
from srbench.training.training import Training
from srbench_dasr.method import DASR
from srbench_fssr.method import FSSR
from srbench_two_stage.crops import from_unit, multiple_of, random_crops, to_unit, upload
from srbench_two_stage.pairs import Generated, Pairs, Recipe
from tests.methods.photographs import Waves
from tests.two_stage.toy import CPU, Listed, build, pixels, shrink, training_of, unit

pytestmark = pytest.mark.usefixtures("narrow")
ODD_LR, ODD_HR = [(283, 275), (290, 301)], [(301, 278), (299, 333), (276, 276)]


class Tinted(nn.Module):
    """A degradation that can be computed by hand: keeps the place, changes the values."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.8 * x + torch.tensor([0.02, 0.05, 0.1])[:, None, None]


class Halves(nn.Module):
    """DASR's, to a quarter: the mean of blocks of four by four, sizes rounded up."""

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 4, ceil_mode=True, count_include_pad=False)


class Judge(nn.Module):
    """Scores that say where they are, at half the size: a ramp, plus the image's mean."""

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        height, width = (-(-side // 2) for side in x.shape[-2:])
        ramp = torch.arange(height)[:, None] / 100 + torch.arange(width)[None] / 1000
        return ramp[None, None] + x.mean()


def stored(kind, dataset, degradation, hr_crop=32, judge=None, **given):
    """Pairs of a method's recipes with that degradation, all of them made."""
    method = build(kind, at=dataset.problem, hr_crop=hr_crop, **given)
    recipes = (method.recipes(degradation) if judge is None else
               [method.recipe(degradation, judge)])
    training = training_of(method, dataset)
    pairs = Pairs(training, recipes, hr_crop, weighted=judge is not None)
    pairs.make(training.stage("pairs").steps(len(pairs)))
    return pairs, training


def bytes_of(image: Tensor) -> Tensor:
    """Truncated as torchvision's to_pil_image does; the value is what may be off by rounding."""
    return (image[0].clamp(0, 1) * 255).floor().to(torch.uint8)


def nearly(found: Tensor, exact: Tensor) -> None:
    """Equal to the truncation of ``exact`` but where that is within rounding of a whole number."""
    assert found.dtype == torch.uint8
    expected = bytes_of(exact)
    assert found.shape == expected.shape
    level = exact[0].clamp(0, 1) * 255
    sure = (level - level.round()).abs() > 2e-3
    assert sure.float().mean() > 0.5
    assert torch.equal(found[sure], expected[sure])
    assert (found.int() - expected.int()).abs().max() <= 1


def tint(x: Tensor) -> Tensor:
    return 0.8 * x + torch.tensor([0.02, 0.05, 0.1], dtype=torch.float64)[:, None, None]


@pytest.mark.parametrize("artifacts", ["tdsr", "sdsr"])
@pytest.mark.parametrize("sizes", [([(288, 272)], [(300, 276)]), (ODD_LR, ODD_HR)])
def test_fssr_stores_what_the_table_of_its_code_says(artifacts, sizes):
    dataset = Listed(*sizes)
    pairs, _ = stored(FSSR, dataset, Tinted(), artifacts=artifacts)
    seen = []
    for at, (recipe, index, size) in enumerate(pairs._jobs):
        seen.append((recipe.role, index))
        photograph = unit(dataset.train_images(recipe.role)[index])
        clean = photograph
        if (artifacts, recipe.role) == ("tdsr", "lr"):  # "cleaned", to multiples of 4
            clean = shrink(photograph, 2).clamp(0, 1)
            clean = clean[..., :clean.shape[-2] // 4 * 4, :clean.shape[-1] // 4 * 4]
        height, width = (side // 4 for side in clean.shape[-2:])
        assert size == (4 * height, 4 * width)
        lr = tint(shrink(clean, 4).clamp(0, 1))[..., :height, :width]
        nearly(pixels(pairs._stores["lr"], at), lr)
        if (artifacts, recipe.role) == ("tdsr", "lr"):
            nearly(pixels(pairs._stores["hr"], pairs._copies[at]), clean)
        elif (artifacts, recipe.role) == ("sdsr", "hr"):
            nearly(pixels(pairs._stores["hr"], pairs._copies[at]),
                   tint(clean)[..., :4 * height, :4 * width])
        else:  # the photograph itself, not copied
            assert at not in pairs._copies
            raw = dataset.train_images(recipe.role)[index]
            crop = pairs._hr(at, 2, 3, 0)
            assert np.array_equal(crop, raw[:, 8:40, 12:44].permute(1, 2, 0).numpy())
    assert sorted(seen) == sorted([("lr", k) for k in range(len(sizes[0]))]
                                  + [("hr", k) for k in range(len(sizes[1]))])


@pytest.mark.parametrize("sizes", [(300, 276), (301, 278), (299, 333), (129, 130)])
def test_dasr_stores_low_resolution_images_and_distances(sizes):
    dataset, judge = Listed([(288, 272)], [sizes]), Judge()
    pairs, _ = stored(DASR, dataset, Halves(), 128, judge)
    photograph = unit(dataset.hr_images[0])
    lr = F.avg_pool2d(photograph, 4, ceil_mode=True, count_include_pad=False)
    height, width = (side // 4 for side in sizes)
    nearly(pixels(pairs._stores["lr"], 0), lr[..., :height, :width])
    assert (255 * judge.seen).round().sub(255 * judge.seen).abs().max() < 1e-4  # stored bytes
    assert judge.seen.shape == lr.shape
    scores = Judge()(judge.seen)
    padded = F.pad(scores, (8, 8, 8, 8))
    counted = F.pad(torch.ones_like(scores), (8, 8, 8, 8))
    field = F.conv2d(padded, torch.ones(1, 1, 17, 17)) / F.conv2d(counted,
                                                                 torch.ones(1, 1, 17, 17))
    found = pixels(pairs._stores["weights"], 0)
    expected = field[0][:, :-(-height // 2), :-(-width // 2)]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("architecture", ["nld_s1", "nld_s2"])
@pytest.mark.parametrize("separation", ["wavelet", "avg", "gau"])
def test_distances_have_the_size_of_the_wavelet_bands_whatever_judges(architecture, separation):
    dataset = Listed([(288, 272)], [(301, 278)])
    method = build(DASR, at=dataset.problem, architecture=architecture, separation=separation)
    made = method.recipe(Halves(), method.beside["judge"]).make(
        unit(dataset.hr_images[0]).float())
    assert made.lr.shape[-2:] == (76, 70)
    assert made.weights.shape == (1, 1, 38, 35)
    assert 0 <= made.weights.min() <= made.weights.max() <= 1


def identity_pairs(dataset, hr_crop, *, weighted=False, copies=False):
    """LR = bicubic / 4 of the photograph; the weights are the red channel of its half."""
    def make(image: Tensor) -> Generated:
        lr = shrink(image, 4).float()
        half = shrink(image, 8)[:, :1].float() if weighted else None
        return Generated(lr, image if copies else None, half)

    training = training_of(build(FSSR, at=dataset.problem), dataset)
    pairs = Pairs(training, [Recipe("hr", lambda size: size, make, copies=copies)], hr_crop,
                  weighted=weighted)
    pairs.make(training.stage("pairs").steps(len(pairs)))
    return pairs, training


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("sizes", [[(300, 276)], ODD_HR])
def test_crops_are_aligned_under_all_turns(sizes, copies):
    """Within, a crop shrunk is the crop of the image shrunk; so also with every turn."""
    pairs, _ = identity_pairs(Listed([(288, 272)], sizes), 64, weighted=True, copies=copies)
    shifts = []
    for number in range(6):
        lr, hr, half = pairs.batch(16, number)
        assert (lr.shape, hr.shape, half.shape) == ((16, 3, 16, 16), (16, 3, 64, 64),
                                                    (16, 1, 8, 8))
        inner = shrink(hr, 4)[..., 3:-3, 3:-3].clamp(0, 1).float()
        assert (inner - lr[..., 3:-3, 3:-3]).abs().max() < 1.3 / 255  # truncation and its overshoot
        inner = shrink(hr, 8)[:, :1, 2:-2, 2:-2].float()
        assert (inner - half[..., 2:-2, 2:-2]).abs().max() < 1.3 / 255
        for moved in (lr.roll(1, -1), lr.roll(1, -2), lr.flip(-1), lr.rot90(1, (-2, -1))):
            shifts.append(float((shrink(hr, 4).float() - moved)[..., 3:-3, 3:-3].abs().max()))
    assert min(shifts) > 10 / 255  # what is not aligned would be seen


def test_all_eight_turns_and_every_photograph_come_up(monkeypatch):
    from srbench_two_stage import pairs as module

    used: list = []
    real = module.turned
    monkeypatch.setattr(module, "turned", lambda image, turn: used.append(int(turn))
                        or real(image, turn))
    pairs, _ = identity_pairs(Listed([(288, 272)], ODD_HR), 64)
    places: list = []
    cut = pairs._hr
    monkeypatch.setattr(pairs, "_hr", lambda which, *at: places.append((int(which), *at[:2]))
                        or cut(which, *at))
    for number in range(20):
        pairs.batch(16, number)
    assert set(used) == set(range(8))
    counts = np.bincount([which for which, *_ in places])
    assert len(counts) == 3
    assert counts.min() > 60  # 107 each on average
    corners = np.array([at for _, *at in places])
    assert (corners % 2).any(0).all()  # odd positions too, without weights


def test_with_weights_positions_are_even(monkeypatch):
    pairs, _ = identity_pairs(Listed([(288, 272)], ODD_HR), 64, weighted=True)
    corners: list = []
    cut = pairs._hr
    monkeypatch.setattr(pairs, "_hr", lambda which, top, left, turn: corners.append((top, left))
                        or cut(which, top, left, turn))
    for number in range(20):
        pairs.batch(16, number)
    assert not (np.array(corners) % 2).any()
    assert np.array(corners).max() > 40


def test_turns_are_the_dihedral_group_of_torch():
    image = torch.arange(48).reshape(3, 4, 4)
    for turn in range(8):
        found = torch.from_numpy(turned(image.permute(1, 2, 0).numpy(), turn).copy())
        expected = (image.flip(-1) if turn >= 4 else image).rot90(turn % 4, (-2, -1))
        assert torch.equal(found.permute(2, 0, 1), expected)


def test_a_batch_is_a_function_of_seed_and_number_alone():
    dataset = Listed([(288, 272)], ODD_HR)
    first, training = identity_pairs(dataset, 64, weighted=True)
    second, _ = identity_pairs(dataset, 64, weighted=True)
    before = torch.get_rng_state()
    batches = {number: first.batch(4, number) for number in (0, 1, 7)}
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    for number in (7, 0, 1):
        assert all(map(torch.equal, second.batch(4, number), batches[number]))
    assert not torch.equal(batches[0][0], batches[1][0])
    training.seed = 1
    assert not torch.equal(first.batch(4, 0)[0], batches[0][0])


def test_images_are_charged_by_photograph_and_by_batch():
    dataset = Listed([(288, 272)] * 2, [(300, 276)] * 3)
    pairs, training = stored(FSSR, dataset, Tinted())
    assert training.finish().stages[0].images == 5
    pairs, training = identity_pairs(dataset, 64)
    for step in training.stage("restoration").steps(2):
        pairs.batch(7, step.index)
    assert [stage.images for stage in training.finish().stages] == [3, 2 * 2 * 7]


def test_photographs_that_hold_no_crop_are_left_out():
    """Half of 283 x 275 holds 128, half of 250 x 700 does not; 127 of 300 does not either."""
    dataset = Listed([(283, 275), (250, 700)], [(300, 127), (128, 128), (131, 400)])
    pairs, _ = stored(FSSR, dataset, Tinted(), 128)
    assert sorted((recipe.role, index) for recipe, index, _ in pairs._jobs) == [
        ("hr", 1), ("hr", 2), ("lr", 0)]
    lr, hr, none = pairs.batch(8, 0)
    assert (lr.shape, hr.shape, none) == ((8, 3, 32, 32), (8, 3, 128, 128), None)
    for number in range(20):
        pairs.batch(8, number)


def test_where_no_photograph_holds_a_crop_it_is_said_before_training(monkeypatch):
    dataset = Listed([(250, 250)], [(127, 300)])
    method = build(FSSR, at=dataset.problem, hr_crop=128)
    monkeypatch.setattr(FSSR, "degradation_step", lambda *given: pytest.fail("trained"))
    with pytest.raises(DataError, match=r"no training photograph gives an HR image of 128 x 128"):
        method.fit(training_of(method, dataset))


@pytest.mark.parametrize(("kind", "lr", "hr", "named"), [
    (FSSR, (127, 300), (300, 300), "first stage needs photographs that hold crops of 128 x 128; "
                                   "the smallest holds 127 x 127"),
    (DASR, (300, 300), (120, 400), "second stage needs HR photographs that hold crops of 128 x"),
    (DASR, (120, 300), (300, 300), "first stage needs photographs that hold crops of 128 x 128; "
                                   "the smallest holds 120 x 120"),
    (DASR, (30, 300), (300, 300), "second stage needs LR photographs that hold crops of 32 x 32")])
def test_too_small_photographs_are_named_when_the_method_is_built(kind, lr, hr, named):
    with pytest.raises(DataError, match=named):
        build(kind, at=Listed([lr], [hr]).problem)


@pytest.mark.parametrize(("kind", "name", "least", "crop"), [
    (FSSR, "dsgan_crop", 203, 200), (DASR, "dsn_crop", 207, 200)])
def test_smaller_crops_of_the_first_stage_are_noted(kind, name, least, crop):
    dataset = Listed([(least, 300)], [(300, 300)])
    method = build(kind, at=dataset.problem, **{name: 256})
    assert method.crop == crop
    assert any(note.startswith(f"The first stage takes crops of {crop} pixels instead of 256")
               for note in method.notes())
    assert not any("instead of" in note for note in build(kind, **{name: 256}).notes()
                   if note.startswith("The first stage"))


def test_a_budget_that_ends_early_gives_fewer_pairs_of_every_kind_and_a_note():
    """Of 40 steps 4 for the degradation, up to 10 for the pairs, the rest for restoration."""
    dataset = Listed([(140, 132)] * 12, [(68, 64)] * 12)
    method = build(FSSR, at=dataset.problem, iterations=100, dsgan_iterations=100,
                   degradation_share=0.1, pairs_share=0.25)
    training = training_of(method, dataset, budget=Budget(steps=40))
    made: list = []
    real = Pairs._put
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pairs, "_put", lambda self, job: made.append(self._jobs[job][0].role)
                      or real(self, job))
        method.fit(training)
    result = training.finish()
    assert [(stage.name, stage.steps) for stage in result.stages] == [
        ("degradation", 4), ("pairs", 6), ("restoration", 30)]
    assert len(made) == 6
    assert set(made) == {"lr", "hr"}
    assert method.notes()[-1] == "The budget left time for 6 of 24 generated pairs."


def test_pairs_lie_in_the_scratch_folder_as_bytes(tmp_path):
    method = build(DASR)
    training = Training(method, Waves(), seed=0, device=CPU, folder=tmp_path)
    pairs = Pairs(training, [method.recipe(Halves(), Judge())], 128, weighted=True)
    pairs.make(training.stage("pairs").steps(len(pairs)))
    folder = tmp_path / ".scratch" / "pairs"
    sizes = {path.name: (path / "images.raw").stat().st_size for path in folder.iterdir()}
    assert sizes == {"lr": 3 * 3 * 75 * 69, "weights": 3 * 4 * 38 * 35}  # no copies of HR images


class TestCrops:
    def test_ranges_are_inverse(self):
        x = torch.tensor([-1.0, 0.0, 0.5, 1.0])
        assert to_unit(x).tolist() == [0, 0.5, 0.75, 1]
        assert torch.equal(from_unit(to_unit(x)), x)

    def test_random_crops_follow_torchs_generator_on_the_cpu(self):
        images = torch.arange(2 * 3 * 9 * 7, dtype=torch.float32).reshape(2, 3, 9, 7)
        torch.manual_seed(4)
        corners = torch.rand(2, 2, dtype=torch.float64) * torch.tensor([5, 3])
        torch.manual_seed(4)
        found = random_crops(images, 5)
        assert found.is_contiguous(memory_format=torch.channels_last)
        for image, crop, (top, left) in zip(images, found, corners.long().tolist(), strict=True):
            assert torch.equal(crop, image[:, top:top + 5, left:left + 5])
        seen = {tuple(random_crops(images, 5)[0, 0, 0, :1].tolist()) for _ in range(300)}
        assert len(seen) == 5 * 3  # every place, the last row and column among them

    def test_multiples_cut_the_end(self):
        x = torch.arange(35.0).reshape(1, 1, 5, 7)
        assert torch.equal(multiple_of(x, 4), x[..., :4, :4])
        assert torch.equal(multiple_of(x, 1), x)

    def test_uploads_map_bytes_to_the_unit_interval_and_keep_floats(self):
        batch = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
        found = upload(batch, CPU)
        assert torch.equal(found, torch.from_numpy(batch).permute(0, 3, 1, 2) / 255)
        floats = batch.astype(np.float32)
        assert torch.equal(upload(floats, CPU), torch.from_numpy(floats).permute(0, 3, 1, 2))
        assert found.dtype == torch.float32
