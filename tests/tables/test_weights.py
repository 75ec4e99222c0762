"""What weights count: survey weights at the door, and a warning where frequencies look like something else."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayesridge import BayesRidge, load, posterior
from bayesridge.cli.main import app
from bayesridge.errors import DataError, WeightsWarning
from bayesridge.tables.weights import as_counts

RNG = np.random.default_rng(11)
X = RNG.standard_normal((40, 3))
y = X @ [1.0, -0.5, 0.0] + 0.5 * RNG.standard_normal(40)
UNEQUAL = RNG.gamma(1.0, size=40) * 5_000


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e6, 1e300])
def test_survey_weights_add_up_to_the_effective_sample_size(unit: float) -> None:
    w = as_counts(unit * np.array([1.0, 1.0, 2.0, 0.0]), "survey")
    assert w is not None
    np.testing.assert_allclose(w, np.array([1, 1, 2, 0]) * 4 / 6, rtol=1e-15)  # 4^2 / 6 = 4 * 4 / 6


def test_equal_survey_weights_change_nothing() -> None:
    plain, survey = posterior(X, y), posterior(X, y, weights=np.full(40, 2_345.6), weight_kind="survey")
    np.testing.assert_allclose(survey.coefficients.mean, plain.coefficients.mean, rtol=1e-12)
    np.testing.assert_allclose(survey.coefficients.sd, plain.coefficients.sd, rtol=1e-9)


def test_survey_weights_are_frequencies_at_the_effective_sample_size() -> None:
    effective = UNEQUAL.sum() ** 2 / (UNEQUAL**2).sum()
    survey = posterior(X, y, weights=UNEQUAL, weight_kind="survey")
    assert survey.design.n_obs == pytest.approx(effective, rel=1e-14)
    assert effective < 40
    with pytest.warns(WeightsWarning):
        same = posterior(X, y, weights=UNEQUAL * effective / UNEQUAL.sum())
    np.testing.assert_allclose(survey.coefficients.sd, same.coefficients.sd, rtol=1e-12)
    assert survey.design.weighting == "survey"
    assert same.design.weighting == "frequency"


def test_leave_one_out_says_that_survey_weights_have_none() -> None:
    with pytest.raises(DataError, match="survey weights do not count observations"):
        _ = posterior(X, y, weights=UNEQUAL, weight_kind="survey").loo


@pytest.mark.parametrize(
    ("w", "message"),
    [
        (UNEQUAL, r"not whole numbers, and n became their sum: .* in 40 rows.*'precision'.*'survey'"),
        (np.full(40, 1.5), "are not whole numbers"),
        (np.full(40, 1_001.0), r"are large, .*: 40040 observations in 40 rows, standard deviations 0\.0316 times"),
    ],
)
def test_frequencies_that_look_like_something_else_are_doubted(w: np.ndarray, message: str) -> None:
    with pytest.warns(WeightsWarning, match=message):
        posterior(X, y, weights=w)
    with pytest.warns(WeightsWarning, match=message):
        BayesRidge().fit(X, y, sample_weight=w)


def test_counts_and_precisions_are_not_doubted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for w, kind in ((np.arange(40.0), "frequency"), (np.full(40, 1_000), "frequency"), (UNEQUAL, "precision")):
            posterior(X, y, weights=w, weight_kind=kind)
        posterior(X, y, weights=3.0)


def test_an_unknown_kind_is_refused_with_or_without_weights() -> None:
    for w in (None, UNEQUAL):
        with pytest.raises(DataError, match="must be 'frequency', 'precision', 'survey'; got 'analytic'"):
            posterior(X, y, weights=w, weight_kind="analytic")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:.*number of rows:UserWarning")
def test_the_command_line_takes_survey_weights(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    pd.DataFrame(X, columns=["a", "b", "c"]).assign(y=y, w=UNEQUAL).to_csv(table, index=False)
    run = CliRunner().invoke(
        app, ["fit", str(table), "--target", "y", "--weights", "w", "--weight-kind", "survey"], env={"COLUMNS": "200"}
    )
    assert run.exit_code == 0
    assert "survey weights" in run.stdout
    assert "leave-one-out  none: leave-one-out leaves out one observation, and survey weights" in run.stdout


def test_a_saved_model_remembers_what_its_weights_were(tmp_path: Path) -> None:
    fitted = BayesRidge(weight_kind="survey").fit(X, y, sample_weight=UNEQUAL)
    fitted.save(tmp_path / "m.bridge")
    again = load(tmp_path / "m.bridge")
    assert again.posterior_.design.weighting == again.weight_kind == "survey"
    np.testing.assert_array_equal(again.coef_, fitted.coef_)
