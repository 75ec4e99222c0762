"""What the page has to show at a lambda, by the functions of the package, and by dense algebra."""

import numpy as np

from bayesridge.hyper.evidence import profile_log_evidence
from bayesridge.linalg.filters import effective_dof, filter_factors, penalized_rss, ridge_path
from bayesridge.linalg.rows import loo_residuals
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import FixedLambda
from bayesridge.reporting.payload import shown_columns

LEVEL = 0.95


def at(posterior, lam):
    """Every number of the slider at one lambda."""
    design, spectrum = posterior.design, posterior.spectrum
    path = ridge_path(design, spectrum, lam)
    columns = shown_columns(posterior)
    coef, intercept = path.coef[0], float(path.intercept[0])
    w = np.ones(design.n_rows) if design.weights is None else design.weights
    count = w if design.weight_kind == "frequency" else (w > 0).astype(float)
    fitted = intercept + design.X @ coef
    left_out = loo_residuals(design, spectrum, lam)
    seen = count > 0
    return {
        "coefficients": coef[columns],
        "standardized": (coef * design.scale)[columns],
        "intercept": intercept,
        "effectiveDof": float(effective_dof(spectrum, lam)),
        "filter": filter_factors(spectrum, lam),
        "penalizedRss": float(penalized_rss(spectrum, lam)),
        "trainRmse": float(np.sqrt(count @ (design.y - fitted) ** 2 / count.sum())),
        "looRmse": float(np.sqrt(count[seen] @ left_out[seen] ** 2 / count.sum())),
        "logEvidence": float(profile_log_evidence(spectrum, lam)),
    }


def assert_same_intervals(found, posterior, lam):
    """Hold the intervals given lambda against those of the package's own fit at that lambda.

    To 1e-10 of their half-widths: an end may cancel.
    """
    fixed = infer(posterior.design, posterior.spectrum, FixedLambda(lam), posterior.noise_prior)
    columns = shown_columns(posterior)
    exact = np.vstack([fixed.coefficients.interval(LEVEL)[columns], fixed.intercept.interval(LEVEL)])
    centre = np.append(fixed.coefficients.mean[columns], fixed.intercept.mean)
    low, high = np.append(found["low"], found["interceptLow"]), np.append(found["high"], found["interceptHigh"])
    # of the half-width and of what the middle is made from
    spare = 1e-10 * (exact[:, 1] - exact[:, 0]) + 1e-12 * (np.abs(centre) + np.abs(centre).max())
    assert (np.abs(low - exact[:, 0]) <= spare).all()
    assert (np.abs(high - exact[:, 1]) <= spare).all()


def assert_same(found, posterior, lam):
    """Hold the page's numbers against Python's: 1e-10, relative to the size of what they are made from.

    A coefficient or an intercept is a sum whose terms may cancel, in Python and in the page alike: its error is
    relative to the largest of its terms, here bounded by the largest coefficient (standardised), and by |mean| |coef|.
    """
    exact = at(posterior, lam)
    design = posterior.design
    for name in ("effectiveDof", "penalizedRss", "trainRmse", "looRmse", "logEvidence"):
        np.testing.assert_allclose(found[name], exact[name], rtol=1e-10, err_msg=f"{name} at {lam}")
    np.testing.assert_allclose(found["filter"], exact["filter"], rtol=1e-10)
    size = np.abs(exact["standardized"]).max()
    np.testing.assert_allclose(found["standardized"], exact["standardized"], rtol=1e-10, atol=1e-12 * size)
    unit = 1.0 / design.scale[shown_columns(posterior)]
    assert (np.abs(found["coefficients"] - exact["coefficients"]) <= 1e-10 * np.abs(exact["coefficients"])
            + 1e-12 * size * unit).all()  # fmt: skip
    whole = ridge_path(design, posterior.spectrum, lam).coef[0]
    terms = abs(design.y_mean) + np.abs(whole * design.mean).sum()
    np.testing.assert_allclose(found["intercept"], exact["intercept"], rtol=1e-10, atol=1e-12 * terms)
