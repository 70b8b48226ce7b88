"""Regularised WGAN-GP: the integral-probability-metric GAN that the paper shows to be biased."""

from __future__ import annotations

from srbench import MethodInfo, hookimpl

PUBLISHED_LAMBDAS = (0, 0.1, 1, 10, 100, 1000, 10_000, 100_000)

CITATION = """\
@inproceedings{gulrajani2017improved,
  title     = {Improved Training of Wasserstein {GAN}s},
  author    = {Gulrajani, Ishaan and Ahmed, Faruk and Arjovsky, Martin and Dumoulin, Vincent
               and Courville, Aaron},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2017}
}"""


@hookimpl
def srbench_methods() -> list[MethodInfo]:
    """Return the method of this plugin."""
    return [
        MethodInfo(
            name="wgan-gp",
            summary="WGAN-GP with a content loss of weight lambda: the paper's biased baseline.",
            load="srbench_wgan_gp.method:WGANGP",
            paper="arXiv 2202.01116, section 6.1 (regularised IPM GAN)",
            url="https://github.com/milenagazdieva/OT-Super-Resolution",
            citation=CITATION,
            licence="MIT",
            sweep={"lambda": PUBLISHED_LAMBDAS},
        )
    ]
