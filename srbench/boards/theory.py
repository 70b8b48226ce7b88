"""What theory says of GANs with a content loss of weight lambda: docs/theory.md derives it.

Legend: P, Q = LR and HR distributions; T* = the optimal transport map from P to Q for the
quadratic cost; lam = weight lambda of the content loss; D = number of values of an image.
"""

from __future__ import annotations

import math


def interpolation_l2_uvp(lam: float, identity_uvp: float) -> float:
    """L2-UVP at the optimum of a GAN whose discrepancy is the squared W2 distance.

    The objective ``W2^2(T#P, Q) + lam E|x - T(x)|^2`` has one minimiser, McCann's displacement
    interpolation ``(T* + lam id) / (1 + lam)``, whose distance to T* is ``lam / (1 + lam)`` of the
    identity's. Both terms count squared differences in the same way (both sums over the values of
    an image, or both means).

    Parameters
    ----------
    lam : float
        At least 0; infinity gives the identity.
    identity_uvp : float
        L2-UVP of the identity map, percent.

    Returns
    -------
    float
        Percent.

    References
    ----------
    arXiv 2202.01116, equation 2, lemmas 1 and 2; R. J. McCann, "A convexity principle for
    interacting gases", Advances in Mathematics 128 (1997). Derived in docs/theory.md.
    """
    if not lam >= 0:
        raise ValueError(f"lambda={lam} is no weight; give a number of at least 0")
    share = 1.0 if math.isinf(lam) else lam / (1 + lam)
    return share**2 * identity_uvp


def w1_l2_uvp_bound(lam: float, identity_uvp: float, *, hr_variance: float, values: int) -> float:
    """Least L2-UVP that a GAN whose discrepancy is the exact W1 distance can have at its optimum.

    A critic of slope at most 1 lets the optimal map of ``W1(T#P, Q) + lam E|x - T(x)|^2 / D`` move
    no image farther than ``D / (2 lam)``, so its error is at least what then remains of the way:
    ``sqrt(E|x - T*|^2) - D / (2 lam)``. WGAN-GP holds the slope near 1 only softly, so it can fall
    below.

    Parameters
    ----------
    lam : float
        At least 0: weight of the content loss, which is a mean over the D values.
    identity_uvp : float
        L2-UVP of the identity map, percent.
    hr_variance : float
        Total variance of Q, the denominator of L2-UVP.
    values : int
        D.

    Returns
    -------
    float
        Percent.

    References
    ----------
    Derived in docs/theory.md.
    """
    if not (lam >= 0 and hr_variance > 0 and values > 0):
        raise ValueError(f"lambda={lam}, hr_variance={hr_variance}, values={values}: give a weight "
                         "of at least 0, and a variance and a number of values above 0")
    way = math.sqrt(identity_uvp / 100 * hr_variance)
    reach = math.inf if lam == 0 else values / (2 * lam)
    return 100 * max(way - reach, 0.0) ** 2 / hr_variance
