"""The rules a comparison shows by default."""

from __future__ import annotations

from bayesridge.rules.closed_formulas import HoerlKennardBaldwin, LawlessWang
from bayesridge.rules.fixed_points import ExpectationMaximization, MacKay
from bayesridge.rules.information_rules import AIC, BIC, AICc
from bayesridge.rules.likelihood_rules import MaximumEvidence, MaximumLikelihood
from bayesridge.rules.posterior_rules import PosteriorMean, PosteriorMedian, PosteriorMode
from bayesridge.rules.prediction_rules import GCV, LooLogScore, LooSquaredError, MallowsCp, RobustGCV
from bayesridge.rules.regularization_rules import Discrepancy, LCurve, QuasiOptimality
from bayesridge.rules.rule import Rule


def standard_rules(level: float = 0.95) -> tuple[Rule, ...]:
    """Return every rule that needs no setting of the user's, cross-validation left out.

    Parameters
    ----------
    level : float
        Of the intervals that rules give themselves.
    """
    return (
        PosteriorMedian(level),
        PosteriorMean(level),
        PosteriorMode(level),
        MaximumEvidence(level),
        MaximumLikelihood(level),
        MacKay(),
        ExpectationMaximization(),
        LooSquaredError(),
        LooLogScore(),
        GCV(),
        RobustGCV(),
        MallowsCp(),
        AIC(),
        AICc(),
        BIC(),
        LCurve(),
        QuasiOptimality(),
        Discrepancy(),
        HoerlKennardBaldwin(),
        LawlessWang(),
    )
