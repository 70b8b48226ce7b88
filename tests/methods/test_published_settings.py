"""Presets hold the values of the paper and of the released code, and nothing else of ours."""

from __future__ import annotations

import pytest
import torch

from srbench import Problem, Skipped
from srbench.errors import ParameterError, UnknownName
from srbench.networks import ResNetPotential, UNet, VectorMap, VectorPotential
from srbench.networks.dsgan import DeResnet, DSGANGenerator
from srbench.networks.edsr import EDSR
from srbench.networks.rrdbnet import RRDBNet
from srbench.registry.catalog import discover
from srbench.spec import expand, parse_specs
from srbench_anchors.method import Constant, Linear
from srbench_dasr.method import DASRParams
from srbench_fssr.method import FSSRParams
from srbench_minimax.game import MinimaxMethod, start_at_zero
from srbench_minimax.parameters import MinimaxParameters
from srbench_ots.method import OTS, OTSParams
from srbench_wgan_gp.method import WGANGP, WGANGPParams

# arXiv 2202.01116: Table 4 and section 6.1; where the paper is silent, the released code.
COMMON = {
    "batch_size": 64, "lr_map": 1e-4, "lr_potential": 1e-4, "beta1": 0.0, "beta2": 0.9,
    "weight_decay": 0.0, "lr_decay": "none", "potential_filters": 64, "potential_slope": 0.0,
    "residual": False, "map_average": 0.0, "pretrained": "",
}
OTS_COMMON = {"inner_steps": 10, "cost": "mse", "cost_factor": 1.0, "cost_refresh": 0,
              "order": "f-first"}
WGAN_COMMON = {"critic_steps": 10, "gp_weight": 10.0, "lambda": 100.0}
PUBLISHED = [
    (OTSParams, "paper", {**COMMON, **OTS_COMMON, "iterations": 10_000, "unet_base": 64}),
    (OTSParams, "code", {**COMMON, **OTS_COMMON, "iterations": 25_000, "unet_base": 32}),
    (WGANGPParams, "paper", {**COMMON, **WGAN_COMMON, "iterations": 15_000, "unet_base": 64}),
    (WGANGPParams, "code", {**COMMON, **WGAN_COMMON, "iterations": 25_000, "unet_base": 32}),
]
ELSEWHERE = {"hidden", "depth", "activation", "blocks", "features"}  # vectors, photographs
SMALL = Problem(domain="image", lr_shape=(3, 32, 32), hr_shape=(3, 32, 32))
PLANE = Problem(domain="vector", lr_shape=(2,), hr_shape=(2,))


@pytest.mark.parametrize(("params", "preset", "expected"), PUBLISHED)
def test_every_value_of_a_published_preset(params, preset, expected):
    found = params.resolve(preset, "image", {}).public()
    assert {key: found[key] for key in found if key not in ELSEWHERE} == expected


@pytest.mark.parametrize("params", [OTSParams, WGANGPParams])
@pytest.mark.parametrize("preset", ["quick", "paper", "code"])
def test_the_users_value_beats_every_preset(params, preset):
    for domain in ("image", "vector"):
        found = params.resolve(preset, domain, {"iterations": 3, "residual": False, "beta1": 0.25})
        assert (found.iterations, found.residual, found.beta1) == (3, False, 0.25)


@pytest.mark.parametrize("params", [OTSParams, WGANGPParams])
def test_vectors_change_only_what_the_vector_preset_says(params):
    """``paper@vector`` adds to ``paper``: lengths and the game stay those of the paper."""
    image = params.resolve("paper", "image", {}).public()
    vector = params.resolve("paper", "vector", {}).public()
    changed = {key for key in image if image[key] != vector[key]}
    assert changed == {"batch_size", "lr_map", "lr_potential", "beta1", "lr_decay", "residual",
                       "activation"}


@pytest.mark.parametrize(("given", "named"), [
    ({"iterations": 0}, "iterations=0"), ({"beta2": 1.0}, "beta2=1.0"),
    ({"batch_size": 1.5}, "batch_size=1.5"), ({"lr_map": 0.0}, "lr_map=0.0"),
    ({"map_average": 1.0}, "map_average=1.0"), ({"lr_decay": "step"}, "lr_decay='step'"),
    ({"residual": "yes"}, "residual='yes'"), ({"inner_steps": 0}, "inner_steps=0"),
    ({"cost_factor": 0.0}, "cost_factor=0.0"), ({"order": "f"}, "order='f'"),
])
def test_a_value_out_of_its_bounds_is_named(given, named):
    with pytest.raises(ParameterError, match=named):
        OTSParams.resolve("quick", "image", given)


def test_names_are_the_public_ones():
    assert WGANGPParams.resolve("quick", "image", {"lambda": 3}).lam == 3
    with pytest.raises(UnknownName, match="no parameter named 'lam'; did you mean 'lambda'"):
        WGANGPParams.resolve("quick", "image", {"lam": 3})
    with pytest.raises(UnknownName, match="no preset named 'papr'; did you mean 'paper'"):
        WGANGPParams.resolve("papr", "image", {})


def test_the_bare_name_is_the_papers_eight_cells():
    info = discover().method("wgan-gp").info
    cells = [str(cell) for spec in parse_specs(["wgan-gp"]) for cell in expand(spec, info.sweep)]
    assert cells == [f"wgan-gp[lambda={lam}]" for lam in (
        "0", "0.1", "1", "10", "100", "1000", "10000", "100000")]
    one, = expand(parse_specs(["wgan-gp[lambda=7]"])[0], info.sweep)
    assert str(one) == "wgan-gp[lambda=7]"
    assert expand(parse_specs(["ots"])[0], discover().method("ots").info.sweep) == parse_specs(
        ["ots"])


@pytest.mark.parametrize("method_class", [OTS, WGANGP])
@pytest.mark.parametrize(("preset", "count"), [("paper", 17_267_523), ("code", 4_320_675)])
def test_the_map_of_a_published_preset_is_the_published_unet(method_class, preset, count):
    with torch.device("meta"):
        method = method_class(method_class.Params.resolve(preset, "image", {}), SMALL)
    assert isinstance(method.network, UNet)
    assert sum(p.numel() for p in method.parameters()) == count
    assert method.average is None
    assert not method.residual


def test_adam_is_the_papers():
    method = OTS(OTSParams.resolve("code", "vector", {"weight_decay": 0.25, "beta1": 0.0}), PLANE)
    group = method.adam(method.network, 0.5).param_groups[0]
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.5, (0.0, 0.9), 0.25)
    assert (group["amsgrad"], group["eps"]) == (False, 1e-8)
    assert sum(p.numel() for p in group["params"]) == sum(p.numel() for p in method.parameters())


@pytest.mark.parametrize(("problem", "kinds"), [(SMALL, (UNet, ResNetPotential)),
                                                (PLANE, (VectorMap, VectorPotential))])
def test_networks_follow_the_domain(problem, kinds):
    params = OTSParams.resolve("quick", problem.domain, {"unet_base": 2, "potential_filters": 2})
    method = OTS(params, problem)
    assert isinstance(method.network, kinds[0])
    f = method.build_potential()
    assert isinstance(f, kinds[1])
    values = f(torch.zeros(5, *problem.hr_shape)).reshape(-1)
    assert values.shape == (5,)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_both_rates_reach_zero_at_the_last_iteration_and_not_before(decay):
    params = OTSParams.resolve("quick", "vector", {"iterations": 8, "lr_decay": decay})
    method = OTS(params, PLANE)
    optimizer = method.adam(method.network, 1.0)
    schedule = method.schedule(optimizer)
    rates = [1.0]
    for _ in range(8):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    k = torch.arange(9, dtype=torch.float64) / 8
    expected = 1 - k if decay == "linear" else (1 + torch.cos(torch.pi * k)) / 2
    torch.testing.assert_close(torch.tensor(rates, dtype=torch.float64), expected,
                               rtol=0, atol=1e-9)


def test_start_at_zero_touches_the_last_layer_alone():
    for network, last in ((UNet(2), "outc.conv."), (VectorMap(3, 4, 2), "net.4.")):
        before = {key: value.clone() for key, value in network.state_dict().items()}
        start_at_zero(network)
        for key, value in network.state_dict().items():
            if key.startswith(last):
                assert not value.any(), key
            else:
                assert torch.equal(value, before[key]), key


def test_a_failing_look_of_the_potential_gives_the_averaged_map_back():
    params = OTSParams.resolve("quick", "vector", {"map_average": 0.5, "hidden": 4, "depth": 1})
    method = OTS(params, PLANE)
    with torch.no_grad():
        method.network.net[-1].bias += 1
    method.eval()
    x = torch.zeros(3, 2)
    averaged = method(x)

    def fail():
        with method.seen_by_potential():
            assert torch.allclose(method(x), averaged + 1)
            assert not torch.is_grad_enabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.is_grad_enabled()
    assert torch.equal(method(x), averaged)


def test_the_shared_base_has_no_published_weights_and_no_name():
    class Bare(MinimaxMethod):
        def fit(self, training):
            """Do nothing."""

    assert MinimaxParameters.presets == {}
    assert not any(entry.info.load.startswith("srbench_minimax")
                   for _, entry in discover().entries())
    with pytest.raises(Skipped, match="no published weights of this method"):
        Bare(MinimaxParameters(pretrained="official"), SMALL)


@pytest.mark.parametrize(("method_class", "values"), [
    (Constant, {"samples": 2**14, "batch_size": 1024}),
    (Linear, {"samples": 0, "batch_size": 1024})])
def test_anchors_have_no_presets_and_take_any(method_class, values):
    for preset in ("quick", "paper", "code"):
        assert method_class.Params.resolve(preset, "vector", {}).public() == values


# Super-resolution of photographs: sections B.4, D and E of the specification, by the methods'
# papers and released codes.
OTS_AIM = {
    "batch_size": 8, "lr_map": 1e-4, "lr_potential": 1e-4, "beta1": 0.9, "beta2": 0.999,
    "weight_decay": 1e-10, "lr_decay": "none", "potential_filters": 64, "potential_slope": 0.2,
    "residual": False, "map_average": 0.0, "pretrained": "", "blocks": 64, "features": 128,
}
OTS_PAPER = {**OTS_AIM, "iterations": 50_000, "cost_factor": 1.0, "order": "f-first"}
OTS_CODE = {**OTS_AIM, "iterations": 250_000, "cost_factor": 0.5, "order": "T-first",
            "inner_steps": 15, "cost_refresh": 25_000}
RRDB = {"beta1": 0.9, "beta2": 0.999, "lr": 1e-4, "blocks": 23, "features": 64, "growth": 32,
        "hr_crop": 128, "residual": False, "pretrained": "", "pretrained_degradation": ""}
FSSR_AIM = {
    **RRDB, "init": "esrgan", "artifacts": "tdsr", "dsgan_iterations": 300 * 166,
    "dsgan_batch_size": 16, "dsgan_crop": 512, "dsgan_lr": 2e-4, "dsgan_beta1": 0.5,
    "dsgan_beta2": 0.999, "dsgan_blocks": 8, "color_weight": 1.0, "texture_weight": 0.005,
    "perceptual_weight": 0.01, "dsgan_filter": "avg", "dsgan_kernel": 5, "iterations": 60_001,
    "batch_size": 16, "milestones": [5_000, 10_000, 20_000, 30_000], "pixel_weight": 0.01,
    "feature_weight": 1.0, "gan_weight": 0.005, "kernel": 9, "vgg": "vgg19",
    "discriminator_features": 64,
}
DASR_AIM = {
    **RRDB, "init": "random", "dsn_iterations": 400 * 332, "dsn_batch_size": 8, "dsn_crop": 256,
    "dsn_lr": 1e-4, "dsn_beta1": 0.5, "dsn_beta2": 0.999, "dsn_blocks": 8, "color_weight": 1.0,
    "perceptual_weight": 0.01, "separation": "wavelet", "architecture": "fsd", "bands": "cat",
    "dsn_kernel": 5, "iterations": 350_000, "batch_size": 6,
    "milestones": [35_000, 80_000, 100_000, 150_000], "pixel_weight": 1.0, "wavelet_weight": 1.0,
    "lpips_weight": 1.0, "gan_weight": 0.005,
}
OURS = {"unet_base", "hidden", "depth", "activation",  # of other domains
        "degradation_share", "pairs_share"}  # of a budget
ON_PHOTOGRAPHS = [
    (OTSParams, "paper", {}, {**OTS_PAPER, "cost": "mse", "inner_steps": 15,
                              "cost_refresh": 25_000}),
    (OTSParams, "paper", {"cost": "vgg"}, {**OTS_PAPER, "cost": "vgg", "inner_steps": 10,
                                           "cost_refresh": 20_000}),
    (OTSParams, "code", {}, {**OTS_CODE, "cost": "mse"}),
    (OTSParams, "code", {"cost": "vgg"}, {**OTS_CODE, "cost": "vgg"}),
    (FSSRParams, "paper", {}, FSSR_AIM), (FSSRParams, "code", {}, FSSR_AIM),
    (DASRParams, "paper", {}, {**DASR_AIM, "texture_weight": 0.0005}),
    (DASRParams, "code", {}, {**DASR_AIM, "texture_weight": 0.005}),
]


@pytest.mark.parametrize(("params", "preset", "given", "expected"), ON_PHOTOGRAPHS)
def test_every_value_of_a_published_preset_on_photographs(params, preset, given, expected):
    found = params.resolve(preset, "sr", given).public()
    assert {key: found[key] for key in found if key not in OURS} == expected


def test_the_users_value_beats_a_conditional_preset():
    found = OTSParams.resolve("paper", "sr", {"cost": "vgg", "cost_refresh": 7})
    assert (found.cost_refresh, found.inner_steps) == (7, 10)
    assert OTSParams.resolve("paper", "image", {"cost": "vgg"}).cost_refresh == 0


@pytest.mark.parametrize("params", [FSSRParams, DASRParams, OTSParams])
def test_quick_on_photographs_is_small_and_needs_no_file_that_must_be_asked_for(params):
    found = params.resolve("quick", "sr", {})
    assert found.blocks <= 8
    assert found.features <= 64
    assert found.residual
    assert getattr(found, "init", "random") == "random"
    assert getattr(found, "vgg", "vgg16") == "vgg16"
    assert not found.pretrained


@pytest.mark.parametrize(("kind", "count"), [(EDSR, 20_226_051), (RRDBNet, 16_697_987),
                                             (DSGANGenerator, 594_380), (DeResnet, 668_238)])
def test_published_networks_on_photographs_have_the_published_sizes(kind, count):
    values = {EDSR: OTS_AIM, RRDBNet: RRDB, DSGANGenerator: FSSR_AIM, DeResnet: DASR_AIM}[kind]
    given = {EDSR: ("blocks", "features"), RRDBNet: ("features", "blocks", "growth"),
             DSGANGenerator: ("dsgan_blocks",), DeResnet: ("dsn_blocks",)}[kind]
    with torch.device("meta"):
        network = kind(*(values[name] for name in given))
    assert sum(p.numel() for p in network.parameters()) == count
