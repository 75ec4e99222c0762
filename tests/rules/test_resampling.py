"""The choice of lambda on resampled data: reproducible, honest about copies, kept when interrupted."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneGroupOut

from bayesridge import FixedLambda, posterior
from bayesridge.design.design import build_design
from bayesridge.errors import BayesRidgeWarning, DataError, WeightsWarning
from bayesridge.linalg.filters import ridge_path
from bayesridge.linalg.optimum import Optimum
from bayesridge.linalg.rows import leverage
from bayesridge.linalg.spectrum import factorize
from bayesridge.parallel.runs import run_many
from bayesridge.rules.bootstrap import BootstrapChoices, bootstrap_choices, observations, resampling_task
from bayesridge.rules.catalogue import make_rule
from bayesridge.rules.cross_validation import CrossValidation
from bayesridge.rules.problem import Choice, LambdaProblem, NotAvailableError


def _data(n=50, p=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 1.0
    return X, X @ np.linspace(0.3, 1.0, p) + rng.standard_normal(n)


def _problem(n=50, p=4, seed=0, **options):
    return LambdaProblem(posterior(*_data(n, p, seed), **options))


@dataclass(frozen=True)
class Recorder:
    """A rule that writes down what it is given."""

    seen: list
    key: str = "recorder"
    label: str = "recorder"

    def choose(self, problem):
        self.seen.append(problem.design)
        return Choice(Optimum(1.0, "interior", 0.0))


@dataclass(frozen=True)
class Moody:
    """A rule with an answer for every other mean of y: 0, infinity, none."""

    key: str = "moody"
    label: str = "moody"

    def choose(self, problem):
        k = int(1e6 * abs(problem.design.y_mean)) % 4
        if k == 3:
            raise NotAvailableError("not today")
        return Choice(Optimum([0.0, np.inf, 2.0][k], "interior", 0.0))


RULES = (make_rule("reml"), make_rule("gcv"), make_rule("loo"), CrossValidation(4))


@pytest.mark.parametrize("kind", ["rows", "residuals"])
def test_the_same_seed_gives_the_same_numbers_whatever_the_number_of_processes(kind):
    problem = _problem()
    one, two, other = (
        bootstrap_choices(problem, RULES, 11, kind=kind, n_jobs=jobs, random_state=seed, progress=False)
        for jobs, seed in ((1, 5), (2, 5), (1, 6))
    )
    np.testing.assert_array_equal(one.draws, two.draws)
    assert one.draws.shape == (11, 4)
    assert np.isfinite(one.draws).all()
    assert not np.array_equal(one.draws, other.draws)
    # the first resamples do not depend on how many there are
    few = bootstrap_choices(problem, RULES, 3, kind=kind, random_state=5, progress=False)
    np.testing.assert_array_equal(few.draws, one.draws[:3])


def test_a_row_drawn_twice_is_one_observation_of_twice_the_weight():
    seen = []
    problem = _problem(30)
    bootstrap_choices(problem, [Recorder(seen)], 20, random_state=0, progress=False)
    for design in seen[1:]:
        assert design.weight_kind == "precision"
        counts = design.weights * 30 / len(design.weights)  # mean weight 1, 30 draws
        np.testing.assert_allclose(counts, np.round(counts), rtol=0, atol=1e-12)
        assert design.n_obs == len(np.unique(design.X, axis=0)) < 30
        assert len({*map(tuple, design.X)} - {*map(tuple, problem.design.X)}) == 0
    share = np.mean([design.n_obs for design in seen[1:]]) / 30
    assert share == pytest.approx(1 - (1 - 1 / 30) ** 30, abs=0.05)


def test_copies_as_frequencies_would_undersmooth_and_weights_do_not():
    shift = {"frequency": [], "precision": []}
    for seed in range(15):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((50, 20))
        y = X @ rng.standard_normal(20) / 3 + rng.standard_normal(50)
        own = LambdaProblem(posterior(X, y))
        here = np.log([rule.choose(own).lam for rule in RULES[:3]])
        for _ in range(6):
            count = np.bincount(rng.integers(0, 50, 50), minlength=50)
            rows = np.flatnonzero(count)
            for kind, w in (("frequency", count[rows] * 1.0), ("precision", count[rows] / count[rows].mean())):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    drawn = LambdaProblem(posterior(X[rows], y[rows], weights=w, weight_kind=kind))
                lam = np.clip([rule.choose(drawn).lam for rule in RULES[:3]], 1e-4, 1e5)
                shift[kind].append(np.log(lam) - here)
    frequency, precision = (np.median(shift[kind], axis=0) for kind in ("frequency", "precision"))
    assert (frequency[:2] < -1.0).all()  # evidence and GCV
    assert (np.abs(precision) < 0.6).all()
    assert (frequency < precision).all()


@pytest.mark.slow
def test_scatter_of_row_bootstraps_is_that_over_data_sets():
    # the study in the text of bayesridge.rules.bootstrap, at 60 x 30, half as long
    choices, scatter, shift = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((60, 30)) + rng.standard_normal((60, 1))
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        problem = LambdaProblem(posterior(X, X @ rng.standard_normal(30) / np.sqrt(10) + rng.standard_normal(60)))
        found = bootstrap_choices(problem, RULES[:1], 60, random_state=seed, progress=False)
        draws = np.log(np.clip(found.draws[:, 0], 1e-4, 1e6))
        choices.append(np.log(found.chosen[0]))
        scatter.append(np.diff(np.quantile(draws, [0.16, 0.84]))[0] / 2)
        shift.append(np.median(draws) - choices[-1])
    truth = np.diff(np.quantile(choices, [0.16, 0.84]))[0] / 2
    # 60 data sets determine a half-width to about 15 percent
    assert np.median(scatter) == pytest.approx(truth, rel=0.45)
    assert abs(np.median(shift)) < 0.45


def test_residuals_are_resampled_around_the_ridge_fit():
    seen = []
    problem = _problem(40)
    bootstrap_choices(problem, [Recorder(seen)], 400, kind="residuals", random_state=1, progress=False)
    design, spectrum = problem.design, problem.spectrum
    lam = problem.posterior.lambda_.median
    path = ridge_path(design, spectrum, lam)
    fitted = path.intercept[0] + design.X @ path.coef[0]
    noise = (design.y - fitted) / np.sqrt(1 - leverage(design, spectrum, lam))
    noise -= noise.mean()
    targets = np.array([one.y for one in seen[1:]])
    drawn = targets - fitted
    # every residual is one of the pool
    assert np.abs(drawn[:5, :, None] - noise).min(axis=2).max() < 1e-10
    assert np.array_equal(seen[1].X, design.X)
    # means over 400 draws of 40 rows: standard error sd / sqrt(16000)
    assert drawn.mean() == pytest.approx(0.0, abs=4 * noise.std() / np.sqrt(16000))
    assert drawn.std() == pytest.approx(noise.std(), rel=0.03)
    one = seen[7]
    direct = build_design(design.X, one.y)
    assert one.y_mean == pytest.approx(direct.y_mean, rel=1e-12)
    np.testing.assert_allclose(one.cross, direct.cross, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", ["rows", "residuals"])
def test_frequency_weights_are_observations(kind):
    X, y = _data(24)
    w = np.random.default_rng(1).integers(0, 4, 24).astype(float)
    rows = np.repeat(np.arange(24), w.astype(int))
    short = LambdaProblem(posterior(X, y, weights=w, weight_kind="frequency"))
    long = LambdaProblem(posterior(X[rows], y[rows]))
    a, b = (
        bootstrap_choices(one, [make_rule("reml"), make_rule("gcv")], 6, kind=kind, random_state=3, progress=False)
        for one in (short, long)
    )
    np.testing.assert_allclose(a.draws, b.draws, rtol=1e-8)  # optima are right to about 1e-10 in log lambda
    design, origin = observations(short.design)
    np.testing.assert_array_equal(origin, rows)
    np.testing.assert_allclose(factorize(design).s, long.spectrum.s, rtol=1e-12)
    with pytest.warns(WeightsWarning):
        half = LambdaProblem(posterior(X, y, weights=np.full(24, 1.5), weight_kind="frequency"))
    with pytest.raises(DataError, match="whole numbers"):
        bootstrap_choices(half, [make_rule("gcv")], 2, kind=kind, progress=False)


def test_precision_weights_multiply_the_counts():
    X, y = _data(30)
    w = np.random.default_rng(2).gamma(3.0, 1.0, 30)
    w[4] = 0.0
    seen = []
    problem = LambdaProblem(posterior(X, y, weights=w, weight_kind="precision"))
    bootstrap_choices(problem, [Recorder(seen)], 5, random_state=0, progress=False)
    for design in seen[1:]:
        position = [int(np.flatnonzero((row == X).all(axis=1))[0]) for row in design.X]
        assert 4 not in position
        counts = design.weights / w[position]
        counts = counts * 29 / counts.sum()
        np.testing.assert_allclose(counts, np.round(counts), rtol=0, atol=1e-10)


def test_groups_are_drawn_whole_and_follow_the_rules():
    X, y = _data(30)
    groups = np.arange(30) // 3
    seen = []
    problem = LambdaProblem(posterior(X, y))
    rules = [Recorder(seen), CrossValidation(LeaveOneGroupOut(), groups=groups)]
    found = bootstrap_choices(problem, rules, 6, groups=groups, random_state=0, progress=False)
    assert not np.isnan(found.draws).any()
    for design in seen[1:]:
        position = np.array([int(np.flatnonzero((row == X).all(axis=1))[0]) for row in design.X])
        labels, sizes = np.unique(groups[position], return_counts=True)
        assert (sizes == 3).all()
        for label in labels:
            assert np.ptp(design.weights[groups[position] == label]) == 0
    with pytest.raises(DataError, match="kind='rows'"):
        bootstrap_choices(problem, rules, 2, kind="residuals", groups=groups, progress=False)


def test_intervals_are_percentiles_of_log_lambda_and_ends_are_counted():
    draws = np.column_stack([np.exp(np.linspace(-3, 3, 201)), np.r_[np.zeros(21), np.ones(150), np.full(30, np.inf)]])
    draws[7, 1] = np.nan
    found = BootstrapChoices(("a", "b"), draws, np.array([2.0, 1.0]), "rows", 0.9, 201)
    interval = found.intervals["a"]
    np.testing.assert_allclose(np.log(interval[:2]), [-2.7, 2.7], atol=1e-12)
    assert interval.kind == "percentiles of 201 row bootstraps"
    assert found.intervals["b"][:2] == (0.0, np.inf)
    assert found.at_zero == {"a": 0.0, "b": 0.1}
    assert found.at_infinity == {"a": 0.0, "b": 0.15}
    assert found.without_answer == {"a": 0, "b": 1}
    assert found.shift["a"] == pytest.approx(0.5)
    table = found.table()
    assert list(table.index) == ["a", "b"]
    assert table.loc["b", "90% percentile high"] == np.inf
    assert not found.interrupted
    far = BootstrapChoices(("a",), draws[:, :1], np.array([2.5]), "residuals", 0.9, 300)
    assert far.notes["a"] == (
        "the median resample chooses 0.4 times the lambda of the data; interrupted after 201 of 300 resamples"
    )
    assert found.notes["b"].startswith("lambda = 0 in 10% of the resamples; lambda = infinity in 15% of the resamples")
    assert "no answer in 1 of 201" in found.notes["b"]


def test_rules_without_an_answer_are_counted():
    found = bootstrap_choices(_problem(), [Moody()], 60, random_state=0, progress=False)
    nothing = np.isnan(found.draws[:, 0])
    assert 0 < nothing.sum() < 60
    assert found.without_answer["moody"] == nothing.sum()
    assert found.at_zero["moody"] + found.at_infinity["moody"] < 1
    assert "percentiles of " + str(60 - nothing.sum()) in found.intervals["moody"].kind


def test_a_resample_that_cannot_be_fitted_is_counted():
    X, y = _data(12, 2)
    X[:, 1] = 0.0
    X[3, 1] = 1.0  # gone from a third of the resamples, and unpenalised
    problem = LambdaProblem(posterior(X, y, unpenalized=[1]))
    found = bootstrap_choices(problem, [make_rule("reml")], 40, random_state=0, progress=False)
    assert 4 <= found.without_answer["reml"] <= 26


def test_interrupting_keeps_what_is_done():
    class Impatient(Recorder):
        def choose(self, problem):
            if len(self.seen) == 8:
                raise KeyboardInterrupt
            return super().choose(problem)

    with pytest.warns(BayesRidgeWarning, match="interrupted after 7 of 50"):
        found = bootstrap_choices(_problem(), [Impatient([])], 50, random_state=0, progress=False)
    assert found.draws.shape == (7, 1)
    assert found.interrupted
    assert "7 row bootstraps" in found.intervals["recorder"].kind


def test_the_progress_bar_is_on_stderr(capsys):
    bootstrap_choices(_problem(), [make_rule("gcv")], 3, random_state=0)
    assert capsys.readouterr().out == ""


def test_runs_have_their_own_seeds():
    def draw(k, rng):
        return k, rng.random()

    runs = run_many(draw, 5, random_state=3, progress=False)
    want = [np.random.default_rng(seed).random() for seed in np.random.SeedSequence(3).spawn(5)]
    assert runs.results == tuple(enumerate(want))


def test_no_warnings_about_resamples_and_tasks_travel():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = LambdaProblem(posterior(X, y))
    task = resampling_task(problem, RULES, "rows", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copy = pickle.loads(pickle.dumps(task))
        np.testing.assert_array_equal(copy(0, np.random.default_rng(1)), task(0, np.random.default_rng(1)))


def test_posteriors_with_a_fixed_lambda_can_be_resampled():
    found = bootstrap_choices(
        _problem(prior=FixedLambda(3.0)), [make_rule("reml")], 3, kind="residuals", random_state=0, progress=False
    )
    assert np.isfinite(found.draws).all()


def test_impossible_arguments_are_refused():
    for options in ({"kind": "pairs"}, {"resamples": 0}, {"level": 1.0}):
        with pytest.raises(DataError):
            bootstrap_choices(_problem(), [make_rule("gcv")], **{"progress": False, **options})
