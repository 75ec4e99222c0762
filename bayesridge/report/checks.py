"""Every check that the report shows: asked once, with its verdict or the reason why there is none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bayesridge.errors import BayesRidgeError, DataError
from bayesridge.marginal import PointMass
from bayesridge.posterior import Posterior
from bayesridge.report.html import number
from bayesridge.ridge import conditioning
from bayesridge.validation.influence import RowInfluence, row_influence
from bayesridge.validation.loo_calibration import LooCalibration, loo_calibration
from bayesridge.validation.predictive_checks import PredictiveChecks, predictive_checks
from bayesridge.validation.spectral_check import SpectralCheck, spectral_check

State = Literal["good", "look", "none"]

#: Probability of a false alarm of the three tests together; each has a third of it (Bonferroni).
ALPHA = 0.05
#: Rows times directions above which less is simulated, and above which nothing is, so that a report takes seconds.
_LARGE, _TOO_LARGE = 250_000, 20_000_000
_SIMULATIONS, _PIT_SIMULATIONS, _FEWER = 1000, 500, 200


@dataclass(frozen=True)
class Check:
    """One check in words.

    Attributes
    ----------
    name, question : str
    state : {"good", "look", "none"}
        Nothing found, something to look at, or not checked.
    verdict : str
    """

    name: str
    question: str
    state: State
    verdict: str


@dataclass(frozen=True, eq=False)
class Checks:
    """All checks, and the results behind the pictures (None where a check does not apply)."""

    lines: tuple[Check, ...]
    spectral: SpectralCheck | None
    calibration: LooCalibration | None
    predictive: PredictiveChecks | None
    influence: RowInfluence | None


def run_checks(posterior: Posterior, random_state: int = 0) -> Checks:
    """Run every check.

    Parameters
    ----------
    posterior : Posterior
    random_state : int
        Seed of the simulations.

    Returns
    -------
    Checks
    """
    size = posterior.design.n_rows * posterior.spectrum.rank
    each = ALPHA / 3.0

    def replicated_targets() -> PredictiveChecks:
        if size > _LARGE:  # eight checks share the level: fewer simulations than this cannot resolve their p-values
            raise _too_many(_SIMULATIONS, posterior)
        return predictive_checks(posterior, simulations=_SIMULATIONS, alpha=each, random_state=random_state)

    def calibrated() -> LooCalibration:
        simulations = _FEWER if size > _LARGE else _PIT_SIMULATIONS
        if size > _TOO_LARGE:
            raise _too_many(simulations, posterior)
        return loo_calibration(posterior, simulations=simulations, alpha=each, random_state=random_state)

    spectral, a = _ask(
        "Singular directions", "Does the target spread over the directions of X as the ridge prior expects?",
        lambda: spectral_check(posterior, alpha=each, random_state=random_state),
    )  # fmt: skip
    calibration, b = _ask(
        "Calibration (LOO-PIT)", "Do the rows fall where the other rows predict them, as often as they should?",
        calibrated,
    )  # fmt: skip
    predictive, c = _ask(
        "Residuals and replicated targets", "Do the residuals look like those of simulated data?",
        replicated_targets,
    )  # fmt: skip
    influence, d = _ask("Influence on lambda", "Does a single row decide lambda?", lambda: row_influence(posterior))
    lines = (_conditioning(posterior), _quadrature(posterior), a, b, c, d)
    return Checks(lines, spectral, calibration, predictive, influence)


def _too_many(simulations: int, posterior: Posterior) -> DataError:
    return DataError(
        f"{simulations} simulated targets of {posterior.design.n_rows} rows take longer than a report should; run "
        "bayesridge validate"
    )


def _ask[Result](name: str, question: str, check: Callable[[], Result]) -> tuple[Result | None, Check]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # those of the fit stand at the top of the page already
            found: Any = check()
    except BayesRidgeError as error:
        return None, Check(name, question, "none", f"not checked: {error}")
    return found, Check(name, question, "good" if found.passed else "look", found.verdict)


def _conditioning(posterior: Posterior) -> Check:
    spectrum, lam = posterior.spectrum, posterior.lambda_.median
    found = conditioning(spectrum, lam)
    verdict = (
        f"condition number of X'X (standardised): {number(found.before)}; with lambda {number(lam)} on its diagonal "
        f"{number(found.after)}. Rank {spectrum.rank} of {spectrum.n_features} penalised columns; "
        f"route {spectrum.route}: {spectrum.reason}"
    )
    weak = np.isinf(found.before) or found.before > 1e8
    if weak and not np.isinf(found.after):
        verdict += ". Without a penalty these coefficients are not determined, or to few digits only"
    # the decomposition is accurate on its own; what would be wrong is a penalised problem that is still singular
    state: State = "look" if np.isinf(found.after) or found.after > 1e12 else "good"
    return Check("Conditioning", "Are the columns nearly collinear, and does lambda mend it?", state, verdict)


def _quadrature(posterior: Posterior) -> Check:
    question = "How accurate is the integral over lambda?"
    if isinstance(posterior.lambda_, PointMass):
        return Check("Accuracy", question, "none", "lambda is a single value here: there is nothing to integrate")
    error = posterior.quadrature_error
    verdict = f"estimated relative error of the integral {number(error)} (quadrature, not simulation)"
    return Check("Accuracy", question, "good" if error < 1e-6 else "look", verdict)
