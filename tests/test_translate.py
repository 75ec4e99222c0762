"""Lambda in other libraries' words: each line of the table against the library itself, or its recorded answer."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse.linalg import lsqr
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    BayesianRidge,
    ElasticNet,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import SVC

from bayesridge import BayesRidge, DataError, FixedTau, HalfT, translate
from bayesridge.datasets import load_xy

LAM = 7.3
R = json.loads((Path(__file__).parent / "truth" / "data" / "translate.json").read_text(encoding="utf-8"))


def columns(n=60, p=4, seed=3):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ np.array([[1.0, 0.6, 0, 0], [0, 1, 0.3, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    eta = X @ np.array([0.8, -0.5, 0.0, 0.3])
    return X, 3.0 + 2.0 * eta + rng.standard_normal(n), rng.random(n) < 1 / (1 + np.exp(-eta)), rng.poisson(np.exp(eta))


X, Y, LABELS, COUNTS = columns()
N = len(Y)


def penalized(lam, outcome):
    """Minimise -log L + lambda/2 |b|^2 by a general optimiser."""

    def objective(b):
        eta = b[0] + X @ b[1:]
        if outcome == "binomial":
            loss, slope = np.logaddexp(0, eta) - LABELS * eta, 1 / (1 + np.exp(-eta)) - LABELS
        else:
            loss, slope = np.exp(eta) - COUNTS * eta, np.exp(eta) - COUNTS
        return loss.sum() + lam / 2 * b[1:] @ b[1:], np.r_[slope.sum(), X.T @ slope + lam * b[1:]]

    return minimize(objective, np.zeros(5), jac=True, method="BFGS", options={"gtol": 1e-9}).x[1:]


def own(lam):
    return BayesRidge(method="fixed", lam=lam, scale=False).fit(X, Y).coef_


def gradient_zero(library, value):
    """Minimise what the library is documented to minimise, by its normal equations."""
    ridge = {"keras.regularizers.l2": N * value, "torch.optim.SGD": N * value / 2}[library]
    return np.linalg.solve(X.T @ X + ridge * np.eye(4), X.T @ (Y - Y.mean()))


def by_statsmodels(value, model, y):
    import statsmodels.api as sm

    made = sm.GLM(y, sm.add_constant(X), family=model) if model is not None else sm.OLS(y, sm.add_constant(X))
    extra = {} if model is None else {"maxiter": 5000, "cnvrg_tol": 1e-13, "zero_tol": 1e-13}
    return np.asarray(made.fit_regularized(alpha=np.r_[0, np.full(4, value)], L1_wt=0.0, **extra).params)[1:]


def poisson_glm(value):
    import statsmodels.api as sm

    return by_statsmodels(value, sm.families.Poisson(), COUNTS)


LIBRARIES = {
    "sklearn.linear_model.Ridge": lambda v: Ridge(alpha=v).fit(X, Y).coef_,
    "sklearn.linear_model.RidgeCV": lambda v: RidgeCV(alphas=[v]).fit(X, Y).coef_,
    "sklearn.kernel_ridge.KernelRidge": lambda v: KernelRidge(alpha=v).fit(X, Y - Y.mean()).dual_coef_ @ X,
    "sklearn.linear_model.ElasticNet": lambda v: ElasticNet(
        alpha=v, l1_ratio=0, tol=1e-14, max_iter=100_000
    ).fit(X, Y).coef_,
    "sklearn.linear_model.LogisticRegression": lambda v: LogisticRegression(
        C=v, solver="newton-cholesky", tol=1e-12
    ).fit(X, LABELS).coef_[0],
    "sklearn.linear_model.PoissonRegressor": lambda v: PoissonRegressor(
        alpha=v, solver="newton-cholesky", tol=1e-12
    ).fit(X, COUNTS).coef_,
    "sklearn.neural_network.MLPRegressor": lambda v: MLPRegressor(
        hidden_layer_sizes=(), solver="lbfgs", alpha=v, tol=1e-12, max_iter=1000, random_state=0
    ).fit(X, Y).coefs_[0].ravel(),
    "sklearn.neural_network.MLPClassifier": lambda v: MLPClassifier(
        hidden_layer_sizes=(), solver="lbfgs", alpha=v, tol=1e-12, max_iter=1000, random_state=0
    ).fit(X, LABELS).coefs_[0].ravel(),
    "statsmodels.OLS.fit_regularized": lambda v: by_statsmodels(v, None, Y),
    "statsmodels.GLM.fit_regularized": poisson_glm,
    "scipy.sparse.linalg.lsqr": lambda v: lsqr(X, Y - Y.mean(), damp=v, atol=1e-14, btol=1e-14)[0],
    "keras.regularizers.l2": lambda v: gradient_zero("keras.regularizers.l2", v),
    "torch.optim.SGD": lambda v: gradient_zero("torch.optim.SGD", v),
}  # fmt: skip
OUTCOMES = {
    "sklearn.linear_model.LogisticRegression": "binomial", "sklearn.neural_network.MLPClassifier": "binomial",
    "sklearn.linear_model.PoissonRegressor": "poisson",
    "statsmodels.GLM.fit_regularized": "poisson",
}  # fmt: skip
_LOOSE = {  # where their own optimisers end
    "statsmodels.GLM.fit_regularized": 2e-5, "sklearn.neural_network.MLPRegressor": 1e-4,
    "sklearn.neural_network.MLPClassifier": 1e-4,
}  # fmt: skip


@pytest.mark.filterwarnings(
    "ignore:Coordinate descent with no regularization", "ignore:With alpha=0", "ignore:Objective did not converge"
)
@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_have_the_minimiser_they_are_said_to_have(library):
    outcome = OUTCOMES.get(library)
    wanted = own(LAM) if outcome is None else penalized(LAM, outcome)
    value = translate.from_lambda(LAM, library, n=N)
    tight = _LOOSE.get(library, 1e-6)
    np.testing.assert_allclose(LIBRARIES[library](value), wanted, rtol=tight, atol=tight)
    # a factor of two is what tutorials differ by: it is seen
    assert np.abs(LIBRARIES[library](2.0 * value) - wanted).max() > 1e-3
    assert translate.to_lambda(value, library, n=N) == pytest.approx(LAM, rel=1e-14)


def test_stochastic_gradients_with_decay_meet_the_ridge():
    value = translate.from_lambda(LAM, "SGDRegressor", n=N)
    fit = SGDRegressor(alpha=value, learning_rate="invscaling", eta0=0.02, max_iter=4000, tol=None, random_state=0)
    np.testing.assert_allclose(fit.fit(X, Y).coef_, own(LAM), atol=3e-3)  # what its noise leaves; twice alpha moves .1


def test_a_step_of_the_classifier_has_the_gradient_of_its_objective():
    value, rate = translate.from_lambda(LAM, "SGDClassifier", n=N), 0.1
    fit = SGDClassifier(loss="log_loss", alpha=value, learning_rate="constant", eta0=rate, shuffle=False)
    fit.partial_fit(X[:1], LABELS[:1], classes=[False, True])
    b, b0 = fit.coef_[0].copy(), fit.intercept_[0]
    fit.partial_fit(X[1:2], LABELS[1:2])
    slope = 1 / (1 + np.exp(-(X[1] @ b + b0))) - LABELS[1]
    np.testing.assert_allclose(fit.coef_[0], b - rate * (slope * X[1] + LAM / N * b), rtol=1e-12)


def test_a_batch_divides_the_penalty_of_a_network():
    fit = MLPRegressor(
        hidden_layer_sizes=(),
        solver="sgd",
        alpha=5.0,
        learning_rate_init=0.01,
        momentum=0.0,
        batch_size=20,
        random_state=0,
    )
    b, b0 = (part.copy() for part in (*fit.partial_fit(X[:20], Y[:20]).coefs_, *fit.intercepts_))
    fit.partial_fit(X[:20], Y[:20])
    slope = (X[:20].T @ (X[:20] @ b[:, 0] + b0 - Y[:20]) + 5.0 * b[:, 0]) / 20
    np.testing.assert_allclose(fit.coefs_[0][:, 0], b[:, 0] - 0.01 * slope, rtol=1e-10)


def test_the_support_vector_machine_balances_penalty_and_hinge():
    fit = SVC(kernel="linear", C=1 / LAM, tol=1e-9).fit(X, LABELS)
    side = np.where(LABELS, 1.0, -1.0)
    margin = side * fit.decision_function(X)
    pull = np.zeros(N)
    pull[fit.support_] = LAM * np.abs(fit.dual_coef_[0])  # minus the slope of the hinge at each row
    np.testing.assert_allclose(LAM * fit.coef_[0], (pull * side) @ X, rtol=1e-8)
    assert (pull >= 0).all()
    assert (pull <= 1 + 1e-9).all()
    np.testing.assert_allclose(pull[margin < 1 - 1e-6], 1.0)
    np.testing.assert_allclose(pull[margin > 1 + 1e-6], 0.0)


@pytest.mark.slow
def test_decay_before_an_optimiser_has_the_gradient_it_is_said_to_have():
    optax, jax = pytest.importorskip("optax"), pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    y = Y - Y.mean()
    best = jax.numpy.asarray(own(LAM))
    slope = jax.grad(lambda b: jax.numpy.mean((y - X @ b) ** 2))(best)

    def step(optimiser):
        return np.asarray(optimiser.update(slope, optimiser.init(best), best)[0])

    decay = translate.from_lambda(LAM, "optax.add_decayed_weights", n=N)
    still = optax.chain(optax.add_decayed_weights(decay), optax.sgd(1.0))
    np.testing.assert_allclose(step(still), 0.0, atol=1e-12)
    # rounding of a zero gradient, not Adam's step: its division has an epsilon of 1e-8
    assert np.abs(step(optax.chain(optax.add_decayed_weights(decay), optax.adam(1.0)))).max() < 1e-3
    assert np.abs(step(optax.adamw(1.0, weight_decay=decay))).max() > 0.1
    halves = jax.grad(lambda b: jax.numpy.mean(optax.l2_loss(X @ b, y)))(best)
    np.testing.assert_allclose(halves + LAM / N * best, 0.0, atol=1e-12)


@pytest.mark.slow
def test_keras_has_the_gradient_it_is_said_to_have(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras, jax = pytest.importorskip("keras"), pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    y, best = Y - Y.mean(), jax.numpy.asarray(own(LAM))
    squares, log_loss = keras.losses.MeanSquaredError(), keras.losses.BinaryCrossentropy(from_logits=True)
    b0 = LogisticRegression(C=1 / LAM, solver="newton-cholesky", tol=1e-12).fit(X, LABELS).intercept_[0]
    for name, where, loss in (
        ("keras.regularizers.l2", best, lambda b: squares(y[:, None], (X @ b)[:, None])),
        ("keras.regularizers.l2, log loss", jax.numpy.asarray(penalized(LAM, "binomial")),
         lambda b: log_loss(LABELS[:, None].astype(float), (b0 + X @ b)[:, None])),
    ):  # fmt: skip
        penalty = keras.regularizers.L2(translate.from_lambda(LAM, name, n=N))
        size = np.abs(jax.grad(penalty)(where)).max()
        total = jax.grad(lambda b, loss=loss, penalty=penalty: loss(b) + penalty(b))(where)
        np.testing.assert_allclose(total, 0.0, atol=1e-5 * size)  # Keras computes losses in float32


@pytest.mark.slow
def test_torch_has_the_gradient_it_is_said_to_have():
    torch = pytest.importorskip("torch")  # seen with 2.15.0: 6e-17, 4e-9 and .99
    y, best = Y - Y.mean(), own(LAM)

    def moved(optimiser):
        b = torch.nn.Parameter(torch.tensor(best))
        step = optimiser([b], lr=1.0, weight_decay=translate.from_lambda(LAM, "torch.optim.SGD", n=N))
        torch.mean((torch.tensor(y) - torch.tensor(X) @ b) ** 2).backward()
        step.step()
        return np.abs(b.detach().numpy() - best).max()

    assert moved(torch.optim.SGD) < 1e-12
    assert moved(torch.optim.Adam) < 1e-3  # rounding of a zero gradient over its epsilon
    assert moved(torch.optim.AdamW) > 0.1


def test_precisions_and_prior_sds_follow_the_noise():
    fit = BayesianRidge(tol=1e-12, max_iter=3000).fit(X, Y)
    sigma = fit.alpha_**-0.5
    lam = translate.to_lambda(fit.lambda_, "BayesianRidge", sigma=sigma)
    np.testing.assert_allclose(own(lam), fit.coef_, rtol=1e-6)
    sd = translate.convert(fit.lambda_, "BayesianRidge", "prior sd", sigma=sigma)
    assert sd == pytest.approx(fit.lambda_**-0.5, rel=1e-12)
    # the mode under N(0, sd^2) and N(0, sigma^2) noise, from its normal equations
    mode = np.linalg.solve(X.T @ X / sigma**2 + np.eye(4) / sd**2, X.T @ (Y - Y.mean()) / sigma**2)
    np.testing.assert_allclose(mode, fit.coef_, rtol=1e-6)
    assert translate.convert(0.25, "LogisticRegression", "prior sd, other families") == 0.5


def test_r_answers_as_recorded():
    longley, y = load_xy("longley")
    n, sd_y = len(y), np.std(y)
    for library in ("glmnet", "MASS::lm.ridge", "mgcv::gam"):
        lam = translate.to_lambda(R[library]["value"], library, n=n, sd_y=sd_y)
        found = BayesRidge(method="fixed", lam=lam).fit(longley, y).coef_
        np.testing.assert_allclose(found, R[library]["coef"], rtol=1e-6)
    counts = np.round(10 * (y / 1000 - 60)).to_numpy()
    lam = translate.to_lambda(R["glmnet poisson"]["value"], "glmnet, other families", n=n)
    found = _map_of_counts(longley.to_numpy(), counts, lam)
    np.testing.assert_allclose(found, R["glmnet poisson"]["coef"], rtol=1e-5)


@pytest.mark.parametrize("package", ["rstanarm", "brms"])
def test_a_prior_sd_is_that_of(package):
    """Means and sds of 20,000 draws of NUTS, recorded with Monte Carlo errors (tests/truth/data/*.R)."""
    said = json.loads((Path(__file__).parent / "truth" / "data" / f"{package}.json").read_text(encoding="utf-8"))
    longley, y = load_xy("longley")
    noise = HalfT(1.0, said["cauchy"], on="sigma")

    def off(tau):
        post = BayesRidge(method="fixed", prior=FixedTau(tau), noise_prior=noise).fit(longley, y / 1000).posterior_
        unit = post.design.scale
        means = np.r_[post.coefficients.mean * unit, post.sigma.mean]
        sds = np.r_[post.coefficients.sd * unit, post.sigma.sd]
        # of an sd: its error by the draws' effective number, and their tails
        of_sds = sds * np.sqrt(1.0 / np.array(said["n_eff"]))
        return np.abs((means - said["mean"]) / said["mcse"]).max(), np.abs((sds - said["sd"]) / of_sds).max()

    means, sds = off(said["prior_sd"])
    assert means < 4.0
    assert sds < 4.0
    assert off(said["prior_sd"] * np.sqrt(2.0))[0] > 20.0  # wrong by a factor


def _map_of_counts(values, counts, lam):
    scale = values.std(axis=0)
    Z = (values - values.mean(axis=0)) / scale
    b = np.r_[np.log(counts.mean()), np.zeros(Z.shape[1])]
    A, S = np.column_stack([np.ones(len(Z)), Z]), np.diag([0.0] + [lam] * Z.shape[1])
    for _ in range(50):
        mu = np.exp(A @ b)
        b += np.linalg.solve(A.T @ (mu[:, None] * A) + S, A.T @ (counts - mu) - S @ b)
    return b[1:] / scale


def test_names_and_what_is_missing():
    with pytest.raises(DataError, match=r"did you mean 'sklearn\.linear_model\.Ridge'"):
        translate.from_lambda(1.0, "linear_model.Ridge")
    with pytest.raises(DataError, match="pass n="):
        translate.from_lambda(1.0, "glmnet", sd_y=2.0)
    with pytest.raises(DataError, match="C must be a positive number, got 0"):
        translate.to_lambda(0.0, "LogisticRegression")
    with pytest.raises(DataError, match="lam must be a positive number, got 'ten'"):
        translate.from_lambda("ten", "Ridge")
    with pytest.raises(DataError, match="lambda must be a positive number, got"):  # beyond float64
        translate.to_lambda(1e-200, "prior sd, other families")
    with pytest.raises(DataError, match="no minimiser in common"):
        translate.convert(1.0, "Ridge", "LogisticRegression")
    assert "sd(y)/n x lambda" in translate.explain("glmnet")
    assert set(translate.table().index) == set(translate.OBJECTIVES)


@pytest.mark.parametrize("source", translate.OBJECTIVES)
def test_every_pair_round_trips(source):
    given = {"n": 37.0, "sd_y": 4.2, "sigma": 1.7}
    for target, other in translate.OBJECTIVES.items():
        if other.outcome == translate.OBJECTIVES[source].outcome:
            there = translate.convert(0.31, source, target, **given)
            assert translate.convert(there, target, source, **given) == pytest.approx(0.31, rel=1e-13)
