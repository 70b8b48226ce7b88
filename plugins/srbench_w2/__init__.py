"""Pairs of distributions whose optimal transport map is known (the Wasserstein-2 benchmark)."""

from __future__ import annotations

from srbench import DatasetInfo, hookimpl

_CITATION = """@inproceedings{korotin2021neural,
  title     = {Do Neural Optimal Transport Solvers Work? A Continuous Wasserstein-2 Benchmark},
  author    = {Korotin, Alexander and Li, Lingxiao and Genevay, Aude and Solomon, Justin M and
               Filippov, Alexander and Burnaev, Evgeny},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2021}
}"""
_PAPER = "https://arxiv.org/abs/2106.01954"
_URL = "https://github.com/iamalexkorotin/Wasserstein2Benchmark"
_IMAGES = {"early": "very blurry", "mid": "moderately blurry", "late": "almost clean"}


@hookimpl
def srbench_datasets() -> list[DatasetInfo]:
    """Return the three image pairs and the pair of Gaussian mixtures."""
    images = [
        DatasetInfo(
            name=f"w2-{pair}",
            summary=f"64x64 images, P {blur}, Q clean; the optimal map is known.",
            load="srbench_w2.images:W2Images",
            fixed={"pair": pair},
            paper=_PAPER, url=_URL, citation=_CITATION, licence="MIT",
        )
        for pair, blur in _IMAGES.items()
    ]
    mixtures = DatasetInfo(
        name="mix3tomix10",
        summary="Gaussian mixtures of 2 to 256 dimensions; the optimal map is known.",
        load="srbench_w2.mix3:Mix3ToMix10",
        paper=_PAPER, url=_URL, citation=_CITATION, licence="MIT",
    )
    return [*images, mixtures]
