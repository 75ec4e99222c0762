"""Every check that the report shows: asked once, with its verdict or the reason why there is none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import BayesRidgeError, DataError
from bayesridge.marginal import PointMass
from bayesridge.posterior import Posterior
from bayesridge.report.html import number
from bayesridge.ridge import conditioning
from bayesridge.validation.ecdf_bands import ecdf, simultaneous_band, uniformity_pvalue
from bayesridge.validation.influence import RowInfluence, row_influence
from bayesridge.validation.loo_calibration import LooCalibration, loo_calibration
from bayesridge.validation.predictive_checks import PredictiveChecks, predictive_checks
from bayesridge.validation.spectral_check import SpectralCheck, spectral_check

Array = NDArray[np.float64]
State = Literal["good", "look", "none"]

#: Probability of a false alarm of the three tests together; each has a third of it (Bonferroni).
ALPHA = 0.05
#: Rows times directions above which less is simulated, so that a report takes seconds.
_LARGE = 250_000
_SIMULATIONS, _PIT_SIMULATIONS = 1000, 500
#: Directions over rows up to which PIT values are taken as independent where simulation would take too long.
_NEARLY_INDEPENDENT = 0.05
_POINTS = 200


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
class PitBand:
    """The ECDF of leave-one-out PIT values and its simultaneous band, as if the values were independent.

    Attributes
    ----------
    z, ecdf, lower, upper : ndarray of shape (K - 1,)
    p_value : float
    alpha : float
    """

    z: Array
    ecdf: Array
    lower: Array
    upper: Array
    p_value: float
    alpha: float

    @property
    def passed(self) -> bool:
        """Whether the p-value is at least alpha."""
        return self.p_value >= self.alpha

    @property
    def verdict(self) -> str:
        """What was found, and what was taken for granted."""
        start = "leave-one-out predictions look calibrated" if self.passed else "leave-one-out predictions are off"
        return (
            f"{start} (p {self.p_value:.2g}, PIT values taken as independent, which so many rows nearly are; "
            "bayesridge validate simulates instead)"
        )


@dataclass(frozen=True, eq=False)
class Checks:
    """All checks, and the results behind the pictures (None where a check does not apply)."""

    lines: tuple[Check, ...]
    spectral: SpectralCheck | None
    calibration: LooCalibration | PitBand | None
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
    large = posterior.design.n_rows * posterior.spectrum.rank > _LARGE
    each = ALPHA / 3.0

    def replicated_targets() -> PredictiveChecks:
        if large:  # eight checks share the level: fewer simulations than this cannot resolve their p-values
            raise DataError(
                f"{_SIMULATIONS} simulated targets of {posterior.design.n_rows} rows take longer than a report should; "
                "run bayesridge validate"
            )
        return predictive_checks(posterior, simulations=_SIMULATIONS, alpha=each, random_state=random_state)

    def calibrated() -> LooCalibration | PitBand:
        if large:
            return _pit_band(posterior, each)
        return loo_calibration(posterior, simulations=_PIT_SIMULATIONS, alpha=each, random_state=random_state)

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


def _ask[Result](name: str, question: str, check: Callable[[], Result]) -> tuple[Result | None, Check]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # those of the fit stand at the top of the page already
            found: Any = check()
    except BayesRidgeError as error:
        return None, Check(name, question, "none", f"not checked: {error}")
    return found, Check(name, question, "good" if found.passed else "look", found.verdict)


def _pit_band(posterior: Posterior, alpha: float) -> PitBand:
    n, rank = posterior.design.n_rows, posterior.spectrum.rank
    if rank > _NEARLY_INDEPENDENT * n or posterior.spectrum.degenerate:
        raise DataError(f"simulating {n} rows takes longer than a report should; run bayesridge validate")
    loo = posterior.loo
    if not np.isin(loo.count, (0.0, 1.0)).all():
        raise DataError("rows that stand for several observations cannot be judged one by one")
    u = loo.pit[loo.count > 0]
    band = simultaneous_band(len(u), 1.0 - alpha, _POINTS)
    p_value = uniformity_pvalue(u, _POINTS)
    return PitBand(band.z, ecdf(u, _POINTS), band.lower, band.upper, p_value, alpha)


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
