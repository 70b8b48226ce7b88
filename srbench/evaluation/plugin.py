"""What the built-in metrics say about themselves. Importing this imports no torch."""

from __future__ import annotations

from srbench.registry.hookspecs import hookimpl
from srbench.registry.infos import MetricInfo

BERTHET = "Berthet et al., MIND: Monge Inception Distance for Generative Models Evaluation, 2026"
BINKOWSKI = "Binkowski et al., Demystifying MMD GANs, ICLR 2018"
HEUSEL = (
    "Heusel et al., GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash "
    "Equilibrium, NIPS 2017"
)
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
TRANSPORT_COST = MetricInfo(
    name="transport-cost",
    title="transport cost",
    direction="target",
    decimals=4,
    summary="Mean squared move from upsampled LR to the output, beside that of the HR images.",
    load="srbench.evaluation.transport_cost:TransportCost",
    paper=PAPER,
    url="https://arxiv.org/abs/2202.01116",
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
    paper=HEUSEL,
    url="https://arxiv.org/abs/1706.08500",
)
KID = MetricInfo(
    name="kid",
    title="KID",
    direction="lower",
    decimals=5,
    summary="Unbiased squared kernel distance between the Inception features that FID uses.",
    load="srbench.evaluation.kid:KID",
    paper=BINKOWSKI,
    url="https://arxiv.org/abs/1801.01401",
)
MIND = MetricInfo(
    name="mind",
    title="MIND",
    direction="lower",
    decimals=2,
    summary="Sliced optimal transport cost between the Inception features that FID uses.",
    load="srbench.evaluation.mind:MIND",
    paper=BERTHET,
    url="https://arxiv.org/abs/2605.06797",
)
PATCH_FID = MetricInfo(
    name="patch-fid",
    title="patch-FID",
    direction="lower",
    decimals=2,
    summary="FID of LR patches restored on their own against independent HR patches.",
    load="srbench.evaluation.patch_fid:PatchFID",
    paper=HEUSEL,
    url="https://arxiv.org/abs/1706.08500",
)
PATCH_KID = MetricInfo(
    name="patch-kid",
    title="patch-KID",
    direction="lower",
    decimals=5,
    summary="KID of restored patches against independent HR patches, in blocks of 1000.",
    load="srbench.evaluation.patch_kid:PatchKID",
    paper=BINKOWSKI,
    url="https://arxiv.org/abs/1801.01401",
)
PATCH_MIND = MetricInfo(
    name="patch-mind",
    title="patch-MIND",
    direction="lower",
    decimals=2,
    summary="MIND of restored patches against independent HR patches.",
    load="srbench.evaluation.patch_mind:PatchMIND",
    paper=BERTHET,
    url="https://arxiv.org/abs/2605.06797",
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
PALETTE_GAP = MetricInfo(
    name="palette-gap",
    title="palette gap",
    unit="%",
    direction="lower",
    decimals=1,
    summary="How far the variance of all colours is from that of the HR images.",
    load="srbench.evaluation.colours:PaletteGap",
    paper=PAPER,
    url="https://arxiv.org/abs/2202.01116",
)
PALETTE_SW2 = MetricInfo(
    name="palette-sw2",
    title="palette SW2",
    direction="lower",
    decimals=3,
    summary="Distance of the palette to HR's over LR's: 0 has the statistics of HR, 1 of LR.",
    load="srbench.evaluation.palette_sw2:PaletteSW2",
    paper="Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures, JMIV 2015",
    url="https://doi.org/10.1007/s10851-014-0506-3",
)
COLOUR_SHIFT = MetricInfo(
    name="colour-shift",
    title="colour shift",
    direction="lower",
    decimals=4,
    summary="Length of the difference between the mean colours of the output and of the HR images.",
    load="srbench.evaluation.colours:ColourShift",
)
SPECTRUM_GAP = MetricInfo(
    name="spectrum-gap",
    title="spectrum gap",
    direction="lower",
    decimals=3,
    summary="Mean difference of the radial log power spectra of the output and of the HR images.",
    load="srbench.evaluation.spectrum:SpectrumGap",
    paper="Durall et al., Watch Your Up-Convolution: CNN Based Generative Deep Neural Networks Are "
    "Failing to Reproduce Spectral Distributions, CVPR 2020",
    url="https://arxiv.org/abs/2003.01826",
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
        MIND,
        PATCH_FID,
        PATCH_KID,
        PATCH_MIND,
        PSNR,
        SSIM,
        LPIPS,
        PALETTE,
        PALETTE_NOTEBOOK,
        PALETTE_GAP,
        PALETTE_SW2,
        COLOUR_SHIFT,
        SPECTRUM_GAP,
        TRANSPORT_COST,
    ]
