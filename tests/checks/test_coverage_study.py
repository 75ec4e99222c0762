"""The coverage study against exact coverages, dense algebra and other packages."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import ARDRegression, BayesianRidge, Ridge, RidgeCV

from bayesridge.errors import DataError
from bayesridge.linalg.optimum import Optimum
from bayesridge.priors import FixedLambda
from bayesridge.rules.problem import Choice, LambdaInterval
from benchmarks.coverage.methods import (
    Answer,
    ByRule,
    Evidence,
    Exact,
    LeastSquares,
    SklearnARD,
    SklearnBayesianRidge,
    SklearnRidgeCV,
)
from benchmarks.coverage.study import coverage_study, measure
from benchmarks.coverage.worlds import Scenario, make_data

pytestmark = pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")

DENSE = Scenario(n=12, p=4, r2=0.5)


@dataclass(frozen=True)
class KnownLambda:
    """The model with its true lambda: Student-t intervals that cover 95% exactly."""

    key: str = "true lambda"

    def answer(self, data):
        return Exact(FixedLambda(data.scenario.lam)).answer(data)


@dataclass(frozen=True)
class Constant:
    """A rule that always says the same."""

    lam: float
    interval: LambdaInterval | None = None
    key: str = "constant"
    label: str = "constant"

    def choose(self, problem):  # noqa: ARG002
        return Choice(Optimum(self.lam, "interior", np.nan), interval=self.interval)


# -- against exact coverages ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scenario", [DENSE, pytest.param(Scenario(n=12, p=4, r2=0.9, correlation=0.9, nonzero=0.5), marks=pytest.mark.slow)]
)
def test_least_squares_covers_95_percent_exactly(scenario):
    """Student-t intervals cover 95% whatever X and the coefficients are; length E[2 t s sqrt(v)] is known too."""
    table = coverage_study([scenario], [LeastSquares()], replications=150, new=4).iloc[0]
    for kind in ("coef", "new"):
        error = table[f"{kind}_coverage_se"]
        assert error < 0.025
        assert table[f"{kind}_coverage"] == pytest.approx(0.95, abs=4 * error)


def test_the_true_lambda_covers_95_percent_exactly():
    """The scenario's lambda is that of the scaled columns: with it known, beta - mean is Student-t with n - 1 dof."""
    table = coverage_study([DENSE, Scenario(12, 20, 0.6, correlation=0.5)], [KnownLambda()], replications=80, new=4)
    for _, row in table.iterrows():
        for kind in ("coef", "new"):
            error = row[f"{kind}_coverage_se"]
            assert error < 0.035
            assert row[f"{kind}_coverage"] == pytest.approx(0.95, abs=4 * error)


def test_plug_in_and_pruning_cover_less():
    table = coverage_study([Scenario(10, 5, 0.5)], [Exact(), Evidence(), SklearnARD()], replications=80)
    exact, evidence, ard = table["coef_coverage"]
    assert exact > evidence + 0.05
    assert evidence > ard
    assert table["lambda_coverage"][0] > 0.85
    assert np.isnan(table["lambda_coverage"][1])


# -- scenarios -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{}, {"noise_df": 5.0}, {"heteroscedasticity": 0.5}, {"nonzero": 0.3}])
def test_simulated_moments(change):
    """Noise of variance one, explained share R^2, correlations of the columns as stated."""
    scenario = replace(Scenario(n=400, p=10, r2=0.75, correlation=0.6), **change)
    noise, signal, X = [], [], []
    for k in range(150):
        data = make_data(scenario, 1, np.random.default_rng([1, k]))
        noise.append(data.y - 1.0 - data.X @ data.coef)
        signal.append(np.sum((data.coef * data.X.std(axis=0)) ** 2))
        X.append(data.X)
    noise, X = np.array(noise), np.concatenate(X)
    # 60,000 values; kurtosis up to 9 + heteroscedasticity: 2 sd of the variance below 2.5%
    assert noise.var() == pytest.approx(1.0, abs=0.04)
    kurtosis = stats.kurtosis(noise.ravel())
    expected = {"noise_df": 6.0, "heteroscedasticity": 3.0 * np.exp(4 * 0.25) - 3.0}.get(next(iter(change), ""), 0.0)
    assert (kurtosis > 1.0) == (expected > 1.0)
    # tau^2 = 3 / nonzero, chi-squared with 10 (or 3) dof each time: relative error sqrt(2 / (3 * 150)) = 6.7%
    assert np.mean(signal) == pytest.approx(3.0, rel=0.25)
    np.testing.assert_allclose(np.corrcoef(X.T)[0, :3], [1.0, 0.6, 0.36], atol=0.02)
    assert np.count_nonzero(data.coef) == scenario.n_nonzero
    assert np.isnan(scenario.lam) == ("nonzero" in change)


def test_equal_correlation():
    data = make_data(Scenario(n=5000, p=3, correlation=0.5, structure="equal"), 1, np.random.default_rng(2))
    np.testing.assert_allclose(np.corrcoef(data.X.T)[0], [1.0, 0.5, 0.5], atol=0.05)
    with pytest.raises(DataError, match="noise_df above 2"):
        Scenario(noise_df=2.0)


def test_true_lambda():
    """R^2 = p tau^2 / (p tau^2 + sigma^2) and lambda = sigma^2 / tau^2."""
    scenario = Scenario(n=30, p=8, r2=0.2)
    assert scenario.lam == pytest.approx(8 * 0.8 / 0.2)
    assert np.isinf(Scenario(r2=0.0).lam)


# -- measures ------------------------------------------------------------------------------------------------------


def _data(scenario=None, seed=3, new=50):
    return make_data(scenario or Scenario(15, 6, 0.5, correlation=0.5), new, np.random.default_rng(seed))


def test_excess_risk_is_the_mean_squared_error_of_predictions():
    data = _data()
    rows = make_data(data.scenario, 200_000, np.random.default_rng(4)).X_new
    guess = data.coef + 0.1 * np.arange(6)
    error = rows @ (guess - data.coef) + 0.3
    assert data.excess_risk(1.3, guess) == pytest.approx(np.mean(error**2), rel=0.02)  # 4 / sqrt(200000) = 0.9%


@pytest.mark.parametrize("scenario", [Scenario(15, 6, 0.5), Scenario(10, 25, 0.5), Scenario(15, 6, 0.0)])
def test_oracle_is_the_best_ridge_of_scikit_learn(scenario):
    data = _data(scenario)
    lam, best = data.oracle
    sd, mean = data.X.std(axis=0), data.X.mean(axis=0)

    def risk(alpha):
        fitted = Ridge(alpha=alpha, solver="svd").fit((data.X - mean) / sd, data.y)
        coef = fitted.coef_ / sd
        return data.excess_risk(fitted.intercept_ - coef @ mean, coef)

    grid = np.logspace(-6, 8, 300)
    risks = np.array([risk(a) for a in grid])
    # the minimum of a smooth curve: a grid of steps of 0.1 in log lambda misses it by less than a percent
    assert best <= risks.min() * (1 + 1e-9)
    assert best == pytest.approx(risks.min(), rel=0.01)
    if 1e-5 < lam < 1e7:
        assert risk(lam) == pytest.approx(best, rel=1e-6)


def test_measures_of_a_made_up_answer():
    data = _data(new=2)
    around = np.array([[0, 0.5], [0, 0.5], [0, 0.5], [-1, 1], [-1, 1], [1, 2]])
    coef_interval = data.coef[:, None] + around
    new_interval = data.y_new[:, None] + np.array([[-1, 1], [1, 2]])
    lam = data.scenario.lam
    found = measure(Answer(1.0, data.coef, coef_interval, new_interval, 3.0, (lam / 2, lam * 2)), data)
    assert found[:2] == pytest.approx([5 / 6, (3 * 0.5 + 2 + 2 + 1) / 6])
    assert found[2:4] == pytest.approx([0.5, 1.5])
    assert found[4:6] == pytest.approx([1.0, np.log(4.0)])
    assert found[6] == pytest.approx(1.0)
    assert found[7] == pytest.approx(-data.oracle[1])
    bare = measure(Answer(1.0, data.coef), data)
    assert np.isnan(bare[:6]).all()


@pytest.mark.slow
def test_no_rule_beats_the_oracle():
    rules = [ByRule(Constant(lam, key=f"c{lam:g}")) for lam in (0.0, 0.3, 10.0, np.inf)]
    table = coverage_study([Scenario(15, 6, 0.5), Scenario(10, 25, 0.3)], rules, replications=30)
    assert (table["regret"] >= 0).all()
    # lambda = 0 with more columns than rows: the minimum-norm fit predicts, but has no noise left for intervals
    wide = table[(table["p"] == 25) & (table["method"] == "c0")].iloc[0]
    assert wide["answered"] == 1.0
    assert wide["coef_interval_share"] == 0.0
    assert np.isfinite(wide["rmse"])
    assert np.isnan(wide["coef_coverage"])
    zero = table[table["method"] == "cinf"]
    np.testing.assert_allclose(zero["coef_length"], 0.0, atol=1e-12)


def test_an_interval_without_end_is_infinitely_long_and_no_warning():
    endless = ByRule(Constant(3.0, LambdaInterval(1.0, np.inf, 0.95, "made up")))
    table = coverage_study([DENSE], [endless], replications=3).iloc[0]
    assert np.isinf(table["lambda_log_length"])
    assert np.isnan(table["lambda_log_length_se"])
    assert table["lambda_coverage"] == 1.0
    assert table["lambda_interval_share"] == 1.0


def test_a_rules_own_interval_is_used_if_it_is_a_95_percent_one():
    data = _data()
    lam = data.scenario.lam
    own = ByRule(Constant(3.0, LambdaInterval(lam / 3, lam * 3, 0.95, "made up"))).answer(data)
    other = ByRule(Constant(3.0, LambdaInterval(lam / 3, lam * 3, 0.9, "made up"))).answer(data)
    assert own.lambda_interval == (lam / 3, lam * 3)
    assert other.lambda_interval is None
    assert own.lam == pytest.approx(3.0, rel=1e-14)  # kept as a logarithm


# -- peers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "model"),
    [(SklearnBayesianRidge(), BayesianRidge()), (SklearnARD(), ARDRegression()),
     (SklearnRidgeCV(), RidgeCV(alphas=np.logspace(-3, 5, 61)))],
)  # fmt: skip
def test_peers_are_asked_rightly(method, model):
    """Back on the units of the data, an answer predicts what the peer predicts, with its sd."""
    data = _data()
    sd, mean = data.X.std(axis=0), data.X.mean(axis=0)
    model.fit((data.X - mean) / sd, data.y)
    found = method.answer(data)
    rows = (data.X_new - mean) / sd
    np.testing.assert_allclose(found.intercept + data.X_new @ found.coef, model.predict(rows), rtol=1e-9)
    if method.key == "sklearn RidgeCV":
        assert found.coef_interval is None
        return
    _, spread = model.predict(rows, return_std=True)
    np.testing.assert_allclose(np.diff(found.new_interval, axis=1)[:, 0], 2 * stats.norm.ppf(0.975) * spread, rtol=1e-9)
    assert found.coef_interval.shape == (6, 2)
    assert ((found.coef_interval[:, 0] <= found.coef) & (found.coef <= found.coef_interval[:, 1])).all()


def test_least_squares_is_that_of_statsmodels():
    import statsmodels.api as sm

    data = _data()
    peer = sm.OLS(data.y, sm.add_constant(data.X)).fit()
    found = LeastSquares().answer(data)
    np.testing.assert_allclose(found.coef_interval, peer.conf_int(0.05)[1:], rtol=1e-9)
    new = peer.get_prediction(sm.add_constant(data.X_new)).conf_int(obs=True, alpha=0.05)
    np.testing.assert_allclose(found.new_interval, new, rtol=1e-9)
    assert LeastSquares().answer(_data(Scenario(6, 6))) is None


# -- reproducing ---------------------------------------------------------------------------------------------------

CELLS = [Scenario(n, 3) for n in (10, 14, 18)]
TIMES = ["seconds"]


def test_results_depend_on_the_seed_and_the_cell_alone():
    """Not on the order of cells, or on what else is fitted."""
    one = coverage_study(CELLS, [LeastSquares()], replications=6).drop(columns=TIMES)
    backwards = coverage_study(CELLS[::-1], [Evidence(), LeastSquares()], replications=6).drop(columns=TIMES)
    kept = backwards[backwards["method"] == "least squares"][::-1].reset_index(drop=True)
    pd.testing.assert_frame_equal(one, kept)
    other = coverage_study(CELLS, [LeastSquares()], replications=6, random_state=1)
    assert (other["rmse"] != one["rmse"]).all()
