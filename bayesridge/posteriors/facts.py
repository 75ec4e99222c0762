"""What a record says of a posterior beside the tables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from bayesridge.design.design import Design
from bayesridge.errors import DataError
from bayesridge.hyper.evidence import ModeShare
from bayesridge.hyper.marginal import Scalar
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.linalg.filters import conditioning
from bayesridge.linalg.optimizer import newton_gap
from bayesridge.linalg.spectrum import Spectrum


def one_lambda_facts(
    design: Design, spectrum: Spectrum, modes: Sequence[ModeShare], lam: Scalar, sigma: float, tau: float
) -> dict[str, Any]:
    """The evidence over lambda, the decomposition, what lambda does to its condition number, the MAP both ways.

    Parameters
    ----------
    modes : sequence of ModeShare
        The maxima of the evidence.
    lam : Scalar
        Posterior of lambda.
    sigma, tau : float
        Posterior medians.
    """
    condition = conditioning(spectrum, lam.median)
    record: dict[str, Any] = {
        "evidence_modes": [
            {"lambda": m.mode.lam, "sigma": m.mode.sigma, "tau": m.mode.tau, "place": m.mode.place,
             "sd_log_lambda": m.mode.log_lambda_sd if m.mode.place == "interior" else None,
             "log_evidence": m.mode.log_evidence, "posterior_share": None if lam.known else m.share}
            for m in modes
        ],
        "spectrum": {"route": spectrum.route, "reason": spectrum.reason, "rank": spectrum.rank,
                     "null_directions": spectrum.dropped},
        "conditioning": {"lambda": lam.median, "before": condition.before, "after": condition.after},
    }  # fmt: skip
    if design.has_rows and 0 < tau < np.inf and 0 < sigma < np.inf:
        gap = newton_gap(design, spectrum, sigma, tau)
        record["map_vs_ridge"] = {"sigma": sigma, "tau": tau, "lambda": (sigma / tau) ** 2, "difference": gap}
    return record


def evidence_facts(hyper: HyperPosterior) -> dict[str, float]:
    """Log p(y), where the integrator knows it (slice sampling does not), and the error of the nodes."""
    with suppress(DataError):
        return {"log_marginal_likelihood": hyper.log_marginal, "quadrature_error": hyper.error}
    return {"quadrature_error": hyper.error}


def loo_facts(posterior: Any) -> dict[str, Any]:
    """Leave-one-out, or why there is none."""
    try:
        loo = posterior.loo
    except DataError as why:
        return {"no_loo": str(why)}
    how = loo.accuracy.replace(loo.how, f"{loo.how}, {_OF_LAMBDA[posterior.method]}", 1)
    return {"loo": {"elpd_loo": loo.elpd_loo, "se": loo.se, "p_loo": loo.p_loo, "rmse": loo.rmse, "how": how}}


_OF_LAMBDA = {
    "posterior": "lambda integrated", "evidence": "at the lambda plugged in", "fixed": "at the lambda given",
}  # fmt: skip
