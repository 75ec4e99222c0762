"""What was inferred of an outcome with a family, and draws and data sets made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import Design
from bayesridge.errors import DataError, RowsAbsentError, check_counts
from bayesridge.hyper.marginal import Link, Marginal, PointMass, transformed
from bayesridge.outcomes.correction import Weighted
from bayesridge.outcomes.family import Family
from bayesridge.outcomes.nodes import marginal_of_nodes
from bayesridge.outcomes.prior import density_of_t
from bayesridge.outcomes.problem import Directions, Outcome
from bayesridge.parallel.runs import generator
from bayesridge.posteriors.datatree import OutcomeText, to_datatree
from bayesridge.posteriors.drawn import WeightedQuantity
from bayesridge.posteriors.draws import Draws
from bayesridge.priors import Prior

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_SEED = 7  # of what the data never saw of the coefficients
_TAU = Link(lambda t: np.exp(-0.5 * t), lambda tau: -2.0 * np.log(tau), lambda t: -0.5 * t - np.log(2.0), False)


@dataclass(frozen=True, eq=False, repr=False)
class InferredOutcome:
    """Weighted draws of the coefficients, and a smooth density of lambda.

    Attributes
    ----------
    family : Family
    design : Design
    directions : Directions
    prior : Prior
    draws_ : Weighted
        Of the coordinates and the node of lambda, weighted, in eight replicates.
    t, log_step : ndarray of shape (K,)
        Nodes of log lambda, and the log of prior density times width at each.
    extra : ndarray of shape (K,) or None
        Their values of the family's further parameter, where it was learned.
    how : str
        Which road made it.
    check : tuple of str
        What that is worth, a sentence each.
    log_evidence : tuple of float or None
        Log p(y) and its standard error; None where draws of chains do not tell it.
    asks : tuple of str
        Which of "offset" and "trials" the model was fitted with, so that predictions need them.
    infer : callable
        That made it, for other rows.
    problem : Outcome or None
        The rows; None in a model saved without them.
    plugged_in : bool
        Whether the one lambda is that of the largest evidence.
    """

    family: Family
    design: Design
    directions: Directions
    prior: Prior
    draws_: Weighted
    t: Array
    log_step: Array
    extra: Array | None
    how: str
    check: tuple[str, ...]
    log_evidence: tuple[float, float] | None
    asks: tuple[str, ...]
    infer: Callable[[Outcome, Prior], Any]
    problem: Outcome | None
    plugged_in: bool = False

    @property
    def method(self) -> str:
        """Whether lambda is integrated, given, or plugged in."""
        return "posterior" if np.ptp(self.t) > 0.0 else "evidence" if self.plugged_in else "fixed"

    @property
    def prior_texts(self) -> tuple[str, str]:
        """The prior, and what the outcome is, in words."""
        prior = "none for lambda (plugged in at the maximum of the evidence)" if self.plugged_in else self.prior.text
        return prior, self.family.in_words

    @cached_property
    def _drawn(self) -> tuple[Array, Array]:
        """Coefficients (R, S, p) and the linear predictor at the column means (R, S)."""
        return self.directions.coefficients(self.design, self.draws_.theta, self._taus, np.random.default_rng(_SEED))

    @property
    def _taus(self) -> Array:
        """Tau of each draw, (R, S)."""
        return np.exp(-0.5 * self.t[self.draws_.node])

    @cached_property
    def coefficients(self) -> WeightedQuantity:
        """Posterior of all p coefficients: of eta, per unit of the column."""
        return WeightedQuantity(self.design.names, self._drawn[0], self.draws_.weight)

    @cached_property
    def intercept(self) -> WeightedQuantity:
        """Posterior of the intercept (eta where every column and the offset are zero), length 1."""
        coef, centre = self._drawn
        values = centre - coef @ self.design.mean if self.design.fit_intercept else 0.0 * centre
        return WeightedQuantity(("intercept",), values[..., None], self.draws_.weight)

    @cached_property
    def lambda_(self) -> Marginal | PointMass:
        """Posterior of lambda = 1 / tau^2."""
        if self.prior.variable == "lambda" and self.prior.known is not None:
            return PointMass("lambda", self.prior.known)  # exp(log x) is not x
        return self._scalar("lambda", self.t)

    @cached_property
    def _further(self) -> dict[str, Marginal | PointMass]:
        """The family's further parameter, by its name."""
        name = self.family.extra
        if name is None:
            return {}
        if self.extra is None:
            return {name: PointMass(name, float(getattr(self.family, name)))}
        return {name: self._scalar(name, np.log(self.extra))}

    def _scalar(self, name: str, logs: Array) -> Marginal | PointMass:
        """Posterior of a number by its logarithm at the nodes."""
        return marginal_of_nodes(name, logs, self.draws_.mass.sum(axis=0))

    @cached_property
    def tau(self) -> Marginal | PointMass:
        """Posterior of tau, the prior sd of the scaled columns' coefficients."""
        if isinstance(self.lambda_, PointMass):
            return PointMass("tau", float(np.exp(-0.5 * self.t[0])))
        return transformed(self.lambda_, "tau", _TAU)

    @property
    def scales(self) -> Mapping[str, Marginal | PointMass]:
        """Lambda and tau, and what else the family has."""
        return {"lambda": self.lambda_, "tau": self.tau} | self._further

    @property
    def sigma(self) -> PointMass:
        """Refused: there is no noise variance."""
        raise DataError(f"{self.family.text} have no noise sd sigma: lambda is 1 / tau² here")

    @property
    def spectrum(self) -> Any:
        """Refused: the likelihood is not Gaussian."""
        raise DataError(
            f"this needs the spectrum of a Gaussian likelihood, and the model is of {self.family.text}: coefficients, "
            "lambda and its rules, predictions, draws, leave-one-out and the checks made of them work for it"
        )

    def rows(self) -> Outcome:
        """The data.

        Raises
        ------
        RowsAbsentError
            If the model was saved without them.
        """
        if self.problem is None:
            raise RowsAbsentError("this needs the rows of the data, and the model was saved without them (rows=True)")
        return self.problem

    def draw(self, draws: int = 1000, chains: int = 4, random_state: int | np.random.Generator | None = None) -> Draws:
        """Draws of all parameters in proportion to the weights, arrays of shape (chains, draws, ...)."""
        check_counts(draws=draws, chains=chains)
        rng = generator(random_state)
        weight = self.draws_.weight.ravel()
        picked = rng.choice(len(weight), (chains, draws), p=weight)
        theta = self.draws_.theta.reshape(len(weight), -1)[picked]
        tau = np.exp(-0.5 * self._t_given(theta, rng))
        coef, centre = self.directions.coefficients(self.design, theta, tau, rng)
        intercept = centre - coef @ self.design.mean if self.design.fit_intercept else centre
        extra = {} if self.extra is None else self._extra_at(self.draws_.node.ravel()[picked], rng)
        return Draws(intercept, coef, np.ones(tau.shape), tau, tau**-2.0, extra=extra)

    def _extra_at(self, node: NDArray[np.intp], rng: np.random.Generator) -> dict[str, Array]:
        """Spread values of the further parameter between nodes: each node stands for its share of the distribution."""
        assert self.extra is not None
        ((name, scalar),) = self._further.items()
        of = np.unique(self.extra, return_inverse=True)[1]
        share = np.bincount(of, self.draws_.mass.sum(axis=0))
        above = np.cumsum(share) / share.sum()
        k = of[node]
        u = above[k] - rng.random(k.shape) * (share / share.sum())[k]
        return {name: np.asarray(scalar.quantile(np.clip(u, 1e-9, 1.0 - 1e-9)))}

    def _t_given(self, theta: Array, rng: np.random.Generator) -> Array:
        """Draw log lambda given the coordinates: the data say no more of it, and it need not stay at the nodes.

        ``p(t | b)`` is the prior times N(b; 0, exp(-t)), on a fine grid.
        """
        if self.method == "fixed":
            return np.full(theta.shape[:-1], self.t[0])
        b = theta[..., self.design.n_flat :]
        squares = np.square(b).sum(axis=-1).ravel()
        t = np.linspace(self.t[0], self.t[-1], 1001)
        log_p = density_of_t(self.prior)(t) + 0.5 * b.shape[-1] * t - 0.5 * squares[:, None] * np.exp(t)
        below = np.cumsum(np.exp(log_p - log_p.max(axis=1, keepdims=True)), axis=1)
        u = rng.random(len(below)) * below[:, -1]
        cell = np.minimum((below < u[:, None]).sum(axis=1), len(t) - 1)
        return np.asarray((t[cell] + (t[1] - t[0]) * (rng.random(len(cell)) - 0.5)).reshape(theta.shape[:-1]))

    def _family_at(self, drawn: Draws) -> Family:
        learned = None if self.extra is None else drawn.extra[str(self.family.extra)][..., None]
        return self.family.given(learned)

    def _eta(self, drawn: Draws) -> Array:
        """The linear predictor of all rows of the fit, (chains, draws, n)."""
        problem = self.rows()
        return np.asarray(drawn.intercept[..., None] + drawn.coef @ self.design.X.T + problem.offset)

    def simulate(self, drawn: Draws, rng: np.random.Generator) -> Array:
        """Outcomes at all rows of the fit, (chains, draws, n)."""
        return self._family_at(drawn).simulate(self._eta(drawn), self.rows().trials, rng)

    def log_likelihood(self, drawn: Draws, targets: Array) -> Array:
        """Log likelihood of all outcomes (m, n) together, each row m times: (chains, draws)."""
        problem, eta, family = self.rows(), self._eta(drawn), self._family_at(drawn)
        each = [family.log_likelihood(eta, y, problem.trials, problem.count) for y in targets]
        return np.asarray(np.sum(each, axis=0))

    def replicate(self, rows: NDArray[np.intp], draws: int, rng: np.random.Generator) -> Array:
        """Outcomes of data sets the model would make at rows of the fit (indices, (m,)): shape (draws, m)."""
        seen = np.flatnonzero(self.rows().count > 0)
        if not np.array_equal(rows, seen):
            raise DataError("replicated counts need a row for each observation: repeat the rows in place of weights")
        tree = self.to_datatree(draws, 1, rng, predictive=True)
        return np.asarray(tree["posterior_predictive"].to_dataset()["y"].values[0], dtype=np.float64)

    def to_datatree(
        self,
        draws: int | None = None,
        chains: int | None = None,
        random_state: int | np.random.Generator | None = None,
        *,
        predictive: bool = False,
    ) -> xr.DataTree:
        """Draws as an ArviZ ``xarray.DataTree``, by default four chains of 1000.

        Groups posterior, observed_data and constant_data; with ``predictive=True`` posterior_predictive and
        log_likelihood.
        """
        rng = generator(random_state)
        attrs: dict[str, str | int | float] = {
            "method": self.method, "family": self.family.text, "prior": self.prior.text, "sampler": self.how,
            "check": "; ".join(self.check),
        }  # fmt: skip

        def predicted(drawn: Draws, rng: np.random.Generator) -> tuple[Array, Array]:
            problem, eta, family = self.rows(), self._eta(drawn), self._family_at(drawn)
            seen = problem.count > 0
            log_p = family.log_density(eta, self.design.y, problem.trials)
            return family.simulate(eta, problem.trials, rng)[..., seen], log_p[..., seen]

        drawn = self.draw(1000 if draws is None else draws, 4 if chains is None else chains, rng)
        about = OutcomeText(f"linear predictor ({self.family.text})", predicted)
        return to_datatree(
            self.design, drawn, spectrum=None, attrs=attrs, random_state=rng, predictive=predictive, outcome=about
        )
