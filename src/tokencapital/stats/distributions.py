"""Quantiles and tails of the usual distributions. scipy is loaded by the first call that needs it."""

from __future__ import annotations

from statistics import NormalDist


def normal_quantile(probability: float) -> float:
    """The x below which a standard normal falls with this probability, in (0, 1)."""
    return NormalDist().inv_cdf(probability)


def t_quantile(level: float, degrees: float) -> float:
    """The half-width that holds a share `level` of Student's t with `degrees` degrees of freedom."""
    from scipy import special

    return float(special.stdtrit(degrees, 0.5 + level / 2))


def beta_quantile(a: float, b: float, probability: float) -> float:
    """The x in [0, 1] below which a Beta(a, b) falls with this probability."""
    from scipy import special

    return float(special.betaincinv(a, b, probability))


def binomial_tail(errors: int, n: int, share: float) -> float:
    """P(Binomial(n, share) <= errors), exactly."""
    from scipy import special

    return float(special.bdtr(errors, n, share))
