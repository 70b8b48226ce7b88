"""FID and KID: the network is pytorch-fid's, the features are shared and kept, the maths exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pytorch_fid import inception as package
from scipy import linalg

from srbench import files
from srbench.backbones import BACKBONES, store
from srbench.errors import DataError, MissingWeights, SrbenchError
from srbench.evaluation import fid as fid_module
from srbench.evaluation.fid import FID
from srbench.evaluation.frechet import frechet_of_features
from srbench.evaluation.inception import InceptionFeatures, build_network
from srbench.evaluation.kid import KID, squared_mmd


@pytest.fixture(scope="module")
def random_state():
    """Entries of an Inception with He-normal weights, named as in pytorch-fid's file."""
    state = {}
    with pytest.MonkeyPatch.context() as patch:
        def spy(state_dict_url, **_):
            raise LookupError

        patch.setattr(package, "load_state_dict_from_url", spy)
        network = build_network(None)
    body = package._inception_v3(num_classes=1008, aux_logits=False, weights=None)
    names = [key for key in body.state_dict() if not key.startswith("fc.")]
    parts = network.blocks.state_dict()
    for name, value in zip(names, parts.values(), strict=True):
        state[name] = value.clone(memory_format=torch.contiguous_format)
    return state


@pytest.fixture
def stored_inception(random_state):
    store(BACKBONES["inception"], random_state, "a test")
    return random_state


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 16, generator=generator) * s for n, s in ((60, 1.0), (50, 1.5))]


def test_network_is_pytorch_fids_own(random_state, images, monkeypatch):
    weights = {**random_state, "fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    monkeypatch.setattr(package, "load_state_dict_from_url", lambda *a, **k: weights)
    theirs = package.InceptionV3().eval()
    x = images(3, 64)
    wanted = theirs((x + 1) / 2)[0].flatten(1)
    ours = InceptionFeatures(build_network(random_state), "content", "").of(x * 1.0)
    assert wanted.std() > 1e-2  # random weights that do not die out, or this would compare zeros
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def test_nothing_is_fetched_and_the_package_is_left_as_it_was(random_state, monkeypatch):
    before = package.fid_inception_v3
    monkeypatch.setattr(package, "load_state_dict_from_url",
                        lambda *a, **k: pytest.fail("tried to download"))
    build_network(random_state)
    assert package.fid_inception_v3 is before


def test_values_outside_the_range_are_not_clamped(random_state):
    extractor = InceptionFeatures(build_network(random_state), "content", "")
    x = torch.full((1, 3, 16, 16), 1.0)
    assert not torch.allclose(extractor.of(x), extractor.of(x * 1.5), rtol=1e-3)


def test_fid_and_kid_of_a_run(stored_inception, pairs, context):
    """Both are those of the features, predictions pass the network once, targets never again."""
    calls = []
    pairs.lr, pairs.hr = pairs.lr[:6], pairs.hr[:6]
    context = replace(context, facts={"test_size": 6})
    shared = InceptionFeatures.shared(context)
    forward = shared.network.forward
    shared.network.forward = lambda x: calls.append(len(x)) or forward(x)
    metrics = [FID(context), KID(context)]
    for x, y in pairs.test_batches(4):
        for metric in metrics:
            metric.update(x, y, x)
    fid, kid = (metric.compute() for metric in metrics)
    assert calls == [4, 4, 2, 2]
    x, y = (torch.cat([shared.of(p) for p in part.split(4)]) for part in (pairs.lr, pairs.hr))
    assert fid.value == pytest.approx(by_definition(x, y), rel=1e-5)
    assert kid.value == pytest.approx(squared_mmd([x], [y]), rel=1e-6)
    assert (fid.count, fid.detail["way"], fid.detail["rank"]) == (6, "svd", 5)

    calls.clear()
    again = replace(context, store={})  # another process: only the disk remembers
    later = FID(again)
    network = InceptionFeatures.shared(again).network
    forward_again = network.forward
    network.forward = lambda x: calls.append(len(x)) or forward_again(x)
    for a, b in pairs.test_batches(4):
        later.update(a, b, a)
    assert later.compute().value == pytest.approx(fid.value, rel=1e-9)
    assert calls == [4, 2]


def by_definition(x, y):
    """The Fréchet distance by scipy's matrix root, as pytorch-fid computes it."""
    stats = [(f.numpy().mean(0), np.cov(f.double().numpy(), rowvar=False)) for f in (x, y)]
    (m1, c1), (m2, c2) = stats
    keep = np.linalg.svd(np.concatenate([x, y]).astype(float), full_matrices=False)[2]
    root = linalg.sqrtm(keep @ c1 @ keep.T @ (keep @ c2 @ keep.T)).real
    return float(np.square(m1 - m2).sum() + np.trace(c1) + np.trace(c2) - 2 * np.trace(root))


def test_damaged_or_partial_features_on_disk_are_not_used(stored_inception, pairs, context):
    features = InceptionFeatures.shared(context)
    truth = features.of(pairs.hr[:4])
    features.remember(truth)
    path = next((files.cache_dir() / "features").iterdir())
    content = bytearray(path.read_bytes())
    content[-5] ^= 0x40
    path.write_bytes(content)
    again = InceptionFeatures.shared(replace(context, store={}))
    assert torch.equal(again.of_target(pairs.hr[:4], 0), truth)
    path.write_bytes(b"no features")
    assert InceptionFeatures.shared(replace(context, store={}))._known is None


def test_a_part_of_the_test_set_is_not_kept(stored_inception, pairs, context):
    metric = FID(replace(context, facts={"test_size": 24}))
    metric.update(pairs.lr[:6], pairs.hr[:6], pairs.lr[:6])
    metric.compute()
    assert not (files.cache_dir() / "features").exists()


def test_kid_is_the_published_estimate_and_unbiased(features):
    x, y = features
    gram = [((a.double() @ b.double().T) / 16 + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    for g in gram[:2]:
        g.fill_diagonal_(0)
    wanted = gram[0].sum() / (60 * 59) + gram[1].sum() / (50 * 49) - 2 * gram[2].mean()
    assert squared_mmd([x], [y]) == pytest.approx(float(wanted), rel=1e-9)
    generator = torch.Generator().manual_seed(2)
    same = [squared_mmd([torch.randn(40, 16, generator=generator)],
                        [torch.randn(30, 16, generator=generator)]) for _ in range(200)]
    assert abs(np.mean(same)) < 4 * np.std(same) / 200**0.5
    assert min(same) < 0 < max(same)


def test_kid_of_gaussians_has_a_closed_form():
    """Squared MMD between N(0, a I) and N(0, b I) is 3 (a^2 + b^2 - 2ab) / d to leading order."""
    generator = torch.Generator().manual_seed(3)
    d, a, b = 64, 1.0, 4.0
    x, y = (v**0.5 * torch.randn(4000, d, generator=generator) for v in (a, b))
    within = [1 + 3 * v * v / d for v in (a, b)]
    wanted = sum(within) - 2 * (1 + 3 * a * b / d)
    assert squared_mmd([x], [y]) == pytest.approx(wanted, rel=0.05)


def test_kid_does_not_depend_on_shards(features, monkeypatch):
    x, y = features
    whole = squared_mmd([x], [y])
    monkeypatch.setattr("srbench.evaluation.kid.TILE", 7)
    assert squared_mmd(list(x.flip(0).split(9)), [y[20:], y[:20]]) == pytest.approx(whole, rel=1e-9)


def test_one_image_is_too_few(features):
    with pytest.raises(DataError, match="got 1 and 50"):
        squared_mmd([features[0][:1]], [features[1]])


def test_missing_weights_say_the_command(context):
    for kind in (FID, KID):
        with pytest.raises(MissingWeights) as caught:
            kind(context)
        assert caught.value.hint == "srbench fetch weights inception"


def test_self_checks_pass_and_notice_broken_maths(stored_inception, context, monkeypatch):
    FID(context).self_check()
    KID(context).self_check()

    def doubled(first, second):
        found = frechet_of_features(first, second)
        return replace(found, distance=2 * found.distance)

    monkeypatch.setattr(fid_module, "frechet_of_features", doubled)
    with pytest.raises(SrbenchError, match="shift by 1"):
        FID(context).self_check()
