"""Every check that the report shows: asked once, with its verdict or the reason why there is none."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bayesridge.checks.card import QUESTIONS, Status, validate
from bayesridge.checks.influence import RowInfluence
from bayesridge.checks.loo_calibration import LooCalibration
from bayesridge.checks.predictive_checks import PredictiveChecks
from bayesridge.checks.spectral_check import SpectralCheck
from bayesridge.linalg.filters import conditioning
from bayesridge.posteriors.posterior import Posterior
from bayesridge.reporting.html import number

State = Literal["good", "look", "none"]

#: Rows times directions above which less is simulated, and above which nothing is, so that a report takes seconds.
_LARGE, _TOO_LARGE = 250_000, 20_000_000
_SIMULATIONS, _FEWER = 500, 200
#: Entries of the report card that are on the page, by the names they have there.
NAMES = {
    "prior": "Singular directions",
    "leave-one-out": "Calibration (LOO-PIT)",
    "noise": "Residuals and replicated targets",
    "sensitivity": "Sensitivity to the prior",
    "influence": "Influence on lambda",
    "duplicates": "Repeated rows",
}
STATES: dict[Status, State] = {"passed": "good", "alarm": "look", "note": "look", "not judged": "none"}


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


def run_checks(post: Posterior, random_state: int = 0) -> Checks:
    """Run the checks of the report card that take seconds (the same as `bayesridge validate`), and two of the numerics.

    Parameters
    ----------
    post : Posterior
    random_state : int
        Seed of the simulations.
    """
    size = post.design.n_rows * post.spectrum.rank
    # eight residual checks share the level of one test: few simulations cannot resolve their p-values
    left_out = [*(["noise"] if size > _LARGE else []), *(["leave-one-out"] if size > _TOO_LARGE else [])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # those of the fit stand at the top of the page already
        card = validate(
            post, checks=[key for key in NAMES if key not in left_out],
            simulations=_FEWER if size > _LARGE else _SIMULATIONS, random_state=random_state, progress=False,
        )  # fmt: skip
    lines = [_conditioning(post), _quadrature(post)]
    for key, name in NAMES.items():
        if key in left_out:
            reason = f"simulating {post.design.n_rows} rows takes longer than a report should; run bayesridge validate"
            lines.append(Check(name, QUESTIONS[key], "none", f"not checked: {reason}"))
            continue
        entry = card[key]
        said = f"not checked: {entry.text}" if entry.status == "not judged" else entry.text
        lines.append(Check(name, entry.question, STATES[entry.status], said))
    found: dict[str, Any] = {entry.key: entry.finding for entry in card.entries if entry.finding is not None}
    return Checks(
        tuple(lines), found.get("prior"), found.get("leave-one-out"), found.get("noise"), found.get("influence")
    )


def _conditioning(post: Posterior) -> Check:
    spectrum, lam = post.spectrum, post.lambda_.median
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


def _quadrature(post: Posterior) -> Check:
    question = "How accurate is the integral over lambda?"
    if post.lambda_.known:
        return Check("Accuracy", question, "none", "lambda is a single value here: there is nothing to integrate")
    error = post.quadrature_error
    verdict = f"estimated relative error of the integral {number(error)} (quadrature, not simulation)"
    return Check("Accuracy", question, "good" if error < 1e-6 else "look", verdict)
