"""Published ridge tables: MASS::lm.ridge and genridge on Longley, lmridge on Hald's cement.

Three scalings of the same columns: MASS divides by the root mean square (ours, `scale=True`), lmridge by the root
sum of
squares (ours divided by sqrt(n), so that their K is lambda / n here). Tolerances are half a unit of the last
printed digit.
"""

from functools import cache

import numpy as np
import pytest

from bayesridge.design.design import build_design
from bayesridge.fit import posterior
from bayesridge.linalg.filters import effective_dof, filter_factors, residual_squares, ridge_path, shrinkage
from bayesridge.linalg.rows import leverage
from bayesridge.linalg.spectrum import factorize
from bayesridge.priors import FixedScales
from tests.truth.published import longley as longley_table
from tests.truth.published import published, table

GENRIDGE = ("GNP", "Unemployed", "Armed.Forces", "Population", "Year", "GNP.deflator")


@cache
def longley(target):
    names = GENRIDGE if target == "Employed" else (*GENRIDGE[:5], "Employed")
    design = build_design(*longley_table(target, names), names=names)
    return design, factorize(design)


@cache
def hald():
    columns = table("hald_cement.csv")
    y = columns.pop("y")
    X = np.column_stack(list(columns.values()))
    design = build_design(X, y, scale=X.std(axis=0) * np.sqrt(len(y)))
    return design, factorize(design)


def hald_figures(what):
    return [(float(k), np.asarray(v)) for k, v in published("hald_lmridge")[what].items()]


# -- MASS ------------------------------------------------------------------------------------------------------------


def test_mass_least_squares():
    figures = published("mass_lmridge_longley")["MASS_example_y=GNP.deflator"]
    path = ridge_path(*longley("GNP.deflator"), 0.0)
    got = np.concatenate([path.intercept, path.coef[0]])
    # half a unit of the last digit printed, and what rounding leaves of an intercept of 2947: eps x condition 1e2 x 1e2
    np.testing.assert_allclose(got, figures["published"]["coef_lambda0"], rtol=1e-11, atol=0.51e-8)
    # recomputed in double precision by others; condition number 1e2, squared by either algorithm, times 1e-16
    np.testing.assert_allclose(got, figures["computed"]["coef_lambda0"], rtol=1e-10)


def hkb_and_lw(design, spectrum):
    """MASS: (p - 2) s^2 / |b|^2, and (p - 2) s^2 n / |fit|^2, of least squares; b in units of its scaled columns."""
    p, n = spectrum.n_features, design.n_rows
    s2 = spectrum.r0 / (n - p - 1)
    b2 = float(np.square(ridge_path(design, spectrum, 0.0).coef[0] * design.scale).sum())
    return (p - 2) * s2 / b2, (p - 2) * s2 * n / float(spectrum.z2.sum())


@pytest.mark.parametrize("target", ["GNP.deflator", "Employed"])
def test_mass_hkb_and_lw(target):
    figures = published("mass_lmridge_longley")
    want = figures["MASS_example_y=GNP.deflator" if target == "GNP.deflator" else "Employed~."]["computed"]
    # recomputed by others in double precision; 1e-9 is the condition number 1e2, squared and squared again, times eps
    np.testing.assert_allclose(hkb_and_lw(*longley(target)), [want["HKB"], want["LW"]], rtol=1e-9)
    if target == "GNP.deflator":
        printed = figures["MASS_example_y=GNP.deflator"]["published"]
        assert hkb_and_lw(*longley(target))[0] == pytest.approx(printed["modified_HKB"], rel=0, abs=0.51e-9)
        assert hkb_and_lw(*longley(target))[1] == pytest.approx(printed["modified_LW"], rel=0, abs=0.51e-8)


@pytest.mark.parametrize("target", ["GNP.deflator", "Employed"])
def test_mass_gcv(target):
    """MASS: GCV = RSS / (n - df)^2 with the intercept not counted, on its own grid of 1e-4."""
    design, spectrum = longley(target)
    grid = np.arange(0, 1001) * 1e-4
    gcv = residual_squares(spectrum, grid) / (design.n_rows - effective_dof(spectrum, grid)) ** 2
    figures = published("mass_lmridge_longley")
    want = figures["MASS_example_y=GNP.deflator" if target == "GNP.deflator" else "Employed~."]["computed"]["GCV"]
    assert grid[np.argmin(gcv)] == pytest.approx(want, abs=1e-12)


# -- genridge --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam", ["0", "0.005", "0.01", "0.02", "0.04", "0.08"])
def test_genridge_path(lam):
    design, spectrum = longley("Employed")
    want = published("genridge_longley")["coef"][lam]
    got = ridge_path(design, spectrum, float(lam)).coef[0] * design.scale
    np.testing.assert_allclose(got, want, rtol=0, atol=0.51e-6)  # six decimals are printed


@pytest.mark.parametrize("lam", ["0", "0.005", "0.01", "0.02", "0.04", "0.08"])
def test_genridge_vif(lam):
    """Diagonal of the correlation matrix of the *sampling* covariance, scaled as genridge does: cov times the
    inverse's.

    genridge: R = cov2cor(A), A = (Z'Z + lambda I)^-1 Z'Z (Z'Z + lambda I)^-1; VIF = diag(R-type determinant
    ratio), which
    for one column each is diag(R) times diag(R^-1).
    """
    spectrum = longley("Employed")[1]
    f = filter_factors(spectrum, float(lam))
    A = (spectrum.V * (f * f / spectrum.s2)) @ spectrum.V.T
    vif = np.diag(A) * np.diag(np.linalg.inv(A))
    # two decimals are printed where the first of the row has that many, three otherwise
    want = np.array(published("genridge_longley")["vif"][lam])
    np.testing.assert_allclose(vif, want, rtol=0, atol=0.51e-2)


# -- Hald ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("K", "want"), hald_figures("coef_scaled"))
def test_hald_scaled_coefficients(K, want):
    design, spectrum = hald()
    got = ridge_path(design, spectrum, K).coef[0] * design.scale
    np.testing.assert_allclose(got, want, rtol=0, atol=5.1e-5)  # four decimals in the table of K = 0.012


@pytest.mark.parametrize(("K", "want"), hald_figures("coef_descaled"))
def test_hald_coefficients(K, want):
    path = ridge_path(*hald(), K)
    np.testing.assert_allclose(np.concatenate([path.intercept, path.coef[0]]), want, rtol=0, atol=5.1e-5)


@pytest.mark.parametrize(("K", "want"), hald_figures("df"))
def test_hald_df(K, want):
    assert float(effective_dof(hald()[1], K)) == pytest.approx(float(want), abs=5.1e-5)


def equivalent_parameters(spectrum, K):
    """EP = trace(2H - HH'): sum of f (2 - f)."""
    return float((1.0 - shrinkage(spectrum, K) ** 2).sum())


@pytest.mark.parametrize("K", ["0", "0.012", "0.1", "0.2"])
def test_hald_ep_noise_and_criteria(K):
    design, spectrum = hald()
    figures, n = published("hald_lmridge"), design.n_rows
    ep, df = equivalent_parameters(spectrum, float(K)), float(effective_dof(spectrum, float(K)))
    rss = float(residual_squares(spectrum, float(K)))
    assert ep == pytest.approx(figures["EP"][K], abs=5.1e-5)
    assert rss / (n - ep) == pytest.approx(figures["rsigma2"][K], abs=5.1e-5)
    assert n * np.log(rss / n) + 2 * df == pytest.approx(figures["AIC"][K], abs=5.1e-5)
    # their bias and variance: with the noise above and the least-squares coefficients in the place of the true ones
    f = filter_factors(spectrum, float(K))
    variance = rss / (n - ep) * float((f * f / spectrum.s2).sum())
    bias = float(((1 - f) ** 2 * spectrum.z2 / spectrum.s2).sum())
    # the variance at K = 0 is printed as 3309.5049 and recomputed exactly as 3309.5192 (they rounded s^2 first): 1e-5
    assert variance == pytest.approx(figures["variance"][K], rel=1e-5)
    assert bias == pytest.approx(figures["bias2"][K], abs=5.1e-5)


def test_hald_covariance_and_standard_errors():
    """The *sampling* covariance of ridge, s^2 (Z'Z + K)^-1 Z'Z (Z'Z + K)^-1."""
    design, spectrum = hald()
    figures, K = published("hald_lmridge"), 0.012
    rss = float(residual_squares(spectrum, K))
    s2 = rss / (design.n_rows - equivalent_parameters(spectrum, K))
    assert s2 == pytest.approx(figures["rsigma2"]["0.012"], abs=5.1e-5)
    s2 = figures["rsigma2"]["0.012"]  # they went on with the rounded one, and so do we
    f = filter_factors(spectrum, K)
    cov = s2 * (spectrum.V * (f * f / spectrum.s2)) @ spectrum.V.T
    np.testing.assert_allclose(cov, figures["vcov_K0012"], rtol=0, atol=7.1e-6)  # the truth's own check: 7.0e-6
    np.testing.assert_allclose(np.sqrt(np.diag(cov)), figures["stderr_scaled_K0012"], rtol=0, atol=5.1e-5)
    # and the posterior's: S^2 + K S S = sampling covariance + the bias's share, s^2 (Z'Z + K)^-1, at sigma, tau given
    post = posterior(
        design.X, design.y, scale=design.scale, prior=FixedScales(float(np.sqrt(s2)), float(np.sqrt(s2 / K)))
    )
    scaled = post.covariance() * np.outer(design.scale, design.scale)
    inverse = (spectrum.V / (spectrum.s2 + K)) @ spectrum.V.T
    gram = (spectrum.V * spectrum.s2) @ spectrum.V.T
    # condition number of the scaled Gram 1.4e3: 1e-11 is a hundred times its rounding
    np.testing.assert_allclose(scaled @ gram @ inverse, cov, rtol=0, atol=1e-11 * np.abs(scaled).max() * 1e3)


def test_hald_hat_diagonal_and_predictions():
    design, spectrum = hald()
    figures = published("hald_lmridge")
    # lmridge's hat matrix leaves the intercept (1 / n each) out
    h = leverage(design, spectrum, 0.012) - 1.0 / design.n_rows
    np.testing.assert_allclose(h, figures["hat_diag_K0012"], rtol=0, atol=5.1e-6)
    for K, want in figures["pred_first5"].items():
        path = ridge_path(design, spectrum, float(K))
        got = path.intercept[0] + design.X[:5] @ path.coef[0]
        # lmridge predicts with coefficients rounded to five digits; the columns are up to 70: errors 1.6e-4
        # (truth's check)
        np.testing.assert_allclose(got, want, rtol=0, atol=1.7e-4)


def test_hald_press():
    """Their PRESS holds the centring fixed, h without 1 / n; both conventions are recomputed in the truth."""
    design, spectrum = hald()
    for K, (printed, same, _) in published("hald_lmridge")["verification_maxabs"]["PRESS"].items():
        e = (
            design.y
            - design.y_mean
            - design.standardize(design.X, slice(None))
            @ (ridge_path(design, spectrum, float(K)).coef[0] * design.scale)
        )
        h = leverage(design, spectrum, float(K))
        with_intercept = float(np.square(e / (1 - h)).sum())
        # 1e-9: rounding of sums of 13 terms; the printed figures differ from the exact ones in the seventh digit
        assert with_intercept == pytest.approx(same, rel=1e-9)
        assert with_intercept == pytest.approx(printed, rel=1e-5)
