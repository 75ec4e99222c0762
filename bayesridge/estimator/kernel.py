"""Kernel ridge with the posterior of its length-scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from sklearn.base import RegressorMixin

from bayesridge.engines.kernel import KernelEngine
from bayesridge.engines.kernels import kernel_of
from bayesridge.estimator.shared import Predicting
from bayesridge.posteriors.kernel import infer_kernel
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior, check_priors
from bayesridge.problem import read_problem, source_table

if TYPE_CHECKING:
    from sklearn.gaussian_process.kernels import Kernel


class BayesKernelRidge(RegressorMixin, Predicting):  # type: ignore[misc]
    r"""Kernel ridge, or Gaussian process regression, with lambda, sigma and the length-scale integrated.

    .. math:: y_i = b_0 + f(x_i) + e_i,\quad f \sim GP(0, \tau^2 k_\ell),\quad e_i \sim N(0, \sigma^2 / w_i)

    with :math:`\lambda = \sigma^2/\tau^2`, the ``alpha`` of :class:`sklearn.kernel_ridge.KernelRidge`. Given the
    length-scale this is ridge on the columns of a pivoted Cholesky factor of the kernel's matrix, of which there are
    few where the kernel is smooth; the length-scale is integrated over some thirty nodes. A kernel of n rows that is
    not smooth costs n cubed a node: thousands of rows, not tens of thousands.

    Parameters
    ----------
    kernel : {"rbf", "matern", "periodic", "precomputed"} or a kernel of scikit-learn
        A named one learns its length-scale, whose prior is log-normal: 95% between half the usual distance of
        neighbouring rows and twice the width of the table, in standard deviations of the columns. Of an object up to
        three free hyperparameters are learnt, the bounds of each read as 95% of a log-normal prior; its amplitude and
        noise are tau and sigma already. With "precomputed" X is the matrix K(X, X), and K(new, X) at predictions; K(x,
        x) of new points is that of the diagonal where it is constant, and the matrix has to be singular where not.
    nu : {0.5, 1.5, 2.5}
        Smoothness of "matern".
    period : float, optional
        Of "periodic", in the units of the one column.
    prior : Prior, optional
        Of lambda or tau; by default Beta(1/2, 1/2) on R².
    noise_prior : NoisePrior, optional
        By default 1/sigma².
    fit_intercept, scale, weight_kind, missing
        As for :class:`~bayesridge.BayesRidge`.

    Attributes
    ----------
    posterior_ : KernelPosterior
        Its ``scales`` have the length-scale; predictions, leave-one-out, draws and log p(y) as ever.
    coef_ : ndarray of shape (p,)
        Slopes at the middle of the table, over one standard deviation of each column; of a given matrix the function
        at each row.
    intercept_ : float
        The function where every column is zero.
    lambda_, sigma_, tau_ : float
        Posterior medians.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesridge import BayesKernelRidge
    >>> x = np.linspace(0, 6, 40)[:, None]
    >>> y = np.sin(x[:, 0]) + 0.1 * np.random.default_rng(0).standard_normal(40)
    >>> fit = BayesKernelRidge().fit(x, y)
    >>> bool(abs(fit.predict([[1.5]])[0] - np.sin(1.5)) < 0.1)
    True
    """

    def __init__(
        self,
        *,
        kernel: str | Kernel = "rbf",
        nu: float = 2.5,
        period: float | None = None,
        prior: Prior | None = None,
        noise_prior: NoisePrior | None = None,
        fit_intercept: bool = True,
        scale: bool | Any = True,
        weight_kind: Literal["frequency", "precision"] = "frequency",
        missing: Literal["error", "drop"] = "error",
    ) -> None:
        self.kernel = kernel
        self.nu = nu
        self.period = period
        self.prior = prior
        self.noise_prior = noise_prior
        self.fit_intercept = fit_intercept
        self.scale = scale
        self.weight_kind = weight_kind
        self.missing = missing

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Compute the posterior.

        Parameters
        ----------
        X : array_like or data frame of shape (n, p)
        y : array_like of shape (n,)
        sample_weight : array_like of shape (n,), optional

        Returns
        -------
        BayesKernelRidge
            Itself, fitted.

        Raises
        ------
        DataError
            If the data or the kernel cannot be used.
        """
        prior, noise = self.prior or BetaR2(), self.noise_prior or Jeffreys()
        check_priors(prior, noise)
        problem = read_problem(
            X, y, weights=sample_weight, weight_kind=self.weight_kind, fit_intercept=self.fit_intercept,
            scale=self.scale, missing=self.missing,
        )  # fmt: skip
        kernel = kernel_of(self.kernel, problem.design, nu=self.nu, period=self.period)
        return self._keep(source_table(X, problem), infer_kernel(KernelEngine(problem.design, kernel), prior, noise))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.missing == "drop"
        return tags
