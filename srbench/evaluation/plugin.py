"""What the built-in metrics say about themselves. Importing this imports no torch."""

from __future__ import annotations

from srbench.registry.hookspecs import hookimpl
from srbench.registry.infos import MetricInfo

PAPER = (
    "Gazdieva et al., An Optimal Transport Perspective on Unpaired Image Super-Resolution, 2022"
)

L2_UVP = MetricInfo(
    name="l2-uvp",
    title="L2-UVP",
    unit="%",
    direction="lower",
    decimals=2,
    summary="Squared error to the true transport map over the variance of Q, map in eval mode.",
    load="srbench.evaluation.l2_uvp:L2UVP",
    paper="Korotin et al., Do Neural Optimal Transport Solvers Work?, NeurIPS 2021",
    url="https://arxiv.org/abs/2106.01954",
)
L2_UVP_OFFICIAL = MetricInfo(
    name="l2-uvp-official",
    title="L2-UVP (official)",
    unit="%",
    direction="lower",
    decimals=2,
    summary="L2-UVP as the released notebooks run it: BatchNorm in train mode, batches of ten.",
    load="srbench.evaluation.l2_uvp:L2UVPOfficial",
    paper=PAPER,
    url="https://arxiv.org/abs/2202.01116",
)
COSINE = MetricInfo(
    name="cosine",
    title="cosine",
    direction="higher",
    decimals=3,
    summary="Cosine between the displacements of the map and of the true transport map.",
    load="srbench.evaluation.cosine:Cosine",
    paper="Korotin et al., Wasserstein-2 Generative Networks, ICLR 2021",
    url="https://arxiv.org/abs/1909.13082",
)
PSNR = MetricInfo(
    name="psnr",
    title="PSNR",
    unit="dB",
    direction="higher",
    decimals=2,
    summary="Peak signal-to-noise ratio of clamped float RGB in [0, 1], averaged over images.",
    load="srbench.evaluation.psnr:PSNR",
    url="https://github.com/photosynthesis-team/piq",
)
SSIM = MetricInfo(
    name="ssim",
    title="SSIM",
    direction="higher",
    decimals=4,
    summary="Structural similarity of rounded 8-bit RGB, uniform 7x7 window, no downsampling.",
    load="srbench.evaluation.ssim:SSIM",
    paper="Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, "
    "IEEE TIP 2004",
    url="https://scikit-image.org/docs/stable/api/skimage.metrics.html",
)
LPIPS = MetricInfo(
    name="lpips",
    title="LPIPS",
    direction="lower",
    decimals=4,
    summary="Learned perceptual distance of AlexNet features, version 0.1, images clamped.",
    load="srbench.evaluation.lpips_alex:LPIPS",
    paper="Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, "
    "CVPR 2018",
    url="https://arxiv.org/abs/1801.03924",
)
FID = MetricInfo(
    name="fid",
    title="FID",
    direction="lower",
    decimals=2,
    summary="Fréchet distance between Inception features of the output and of the HR images.",
    load="srbench.evaluation.fid:FID",
    paper="Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash "
    "Equilibrium, NIPS 2017",
    url="https://arxiv.org/abs/1706.08500",
)
KID = MetricInfo(
    name="kid",
    title="KID",
    direction="lower",
    decimals=5,
    summary="Unbiased squared kernel distance between the Inception features that FID uses.",
    load="srbench.evaluation.kid:KID",
    paper="Binkowski et al., Demystifying MMD GANs, ICLR 2018",
    url="https://arxiv.org/abs/1801.01401",
)
PALETTE = MetricInfo(
    name="palette-variance",
    title="palette variance",
    direction="target",
    decimals=4,
    summary="Variance of the RGB cloud of 1024 random pixels, to be read against the HR images'.",
    load="srbench.evaluation.palette:PaletteVariance",
    paper=PAPER,
    url="https://arxiv.org/abs/2202.01116",
)
PALETTE_NOTEBOOK = MetricInfo(
    name="palette-variance-notebook",
    title="palette variance (notebook)",
    direction="target",
    decimals=4,
    summary="Palette variance as the released notebook draws it: first 20 images, channels apart.",
    load="srbench.evaluation.palette:PaletteVarianceNotebook",
    paper=PAPER,
    url="https://arxiv.org/abs/2202.01116",
)


@hookimpl
def srbench_metrics() -> list[MetricInfo]:
    """Return the built-in metrics, in the order tables show them."""
    return [
        L2_UVP,
        L2_UVP_OFFICIAL,
        COSINE,
        FID,
        KID,
        PSNR,
        SSIM,
        LPIPS,
        PALETTE,
        PALETTE_NOTEBOOK,
    ]
