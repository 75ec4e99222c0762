"""The posterior under Student-t noise: draws of chains, which have sigma and degrees of freedom of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesridge.design.design import Design, State
from bayesridge.errors import AccuracyWarning, DataError, ModelFileError, PriorError, check_counts, warn
from bayesridge.hyper.marginal import Marginal, PointMass
from bayesridge.outcomes.correction import joined
from bayesridge.outcomes.family import Family, Student
from bayesridge.outcomes.gibbs import CHAINS, Gibbs
from bayesridge.outcomes.infer import SEED, accuracy_text, judge, outcome_from_state
from bayesridge.outcomes.posterior import OutcomePosterior
from bayesridge.outcomes.problem import Outcome, make_outcome
from bayesridge.outcomes.student_evidence import student_evidence
from bayesridge.parallel.runs import generator
from bayesridge.parallel.threads import threads_for
from bayesridge.persistence import prior_from_state, prior_state
from bayesridge.posteriors.datatree import to_datatree
from bayesridge.posteriors.drawn import DrawnScalar
from bayesridge.posteriors.draws import Draws
from bayesridge.priors import BetaR2, Jeffreys, NoisePrior, Prior, check_priors

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_FIRST = 100  # draws of each chain, twice
_MOST = 6_400  # of each replicate


@dataclass(frozen=True, eq=False, repr=False)
class StudentPosterior(OutcomePosterior):
    """Everything known of a regression with Student-t noise; sigma is the scale of the noise, not its sd.

    Attributes
    ----------
    noise_prior : NoisePrior
        Of sigma.
    """

    noise_prior: NoisePrior = field(default_factory=Jeffreys)

    @property
    def prior_texts(self) -> tuple[str, str]:
        """The priors, and what the noise is, in words."""
        return self.prior.text, f"{self.family.in_words}; {self.noise_prior.text}"

    @property
    def improper_noise(self) -> bool:  # type: ignore[override]
        """Whether sigma's prior has an arbitrary constant; that of a Gaussian's sigma is the same."""
        return not self.noise_prior.proper

    @property
    def _own(self) -> Array:
        """Sigma and degrees of freedom, (2, R, S)."""
        assert self.draws_.extra is not None
        return self.draws_.extra

    @property
    def _taus(self) -> Array:
        return np.asarray(self._own[0] * np.exp(-0.5 * self.t[self.draws_.node]))

    @cached_property
    def sigma(self) -> DrawnScalar:  # type: ignore[override]
        """Scale of the noise, in units of y; its sd is ``sigma sqrt(df / (df - 2))``."""
        return DrawnScalar("sigma", self._own[0])

    @cached_property
    def tau(self) -> DrawnScalar:  # type: ignore[override]
        """Prior sd of the standardised coefficients, in units of y."""
        return DrawnScalar("tau", self._taus)

    @property
    def scales(self) -> Mapping[str, Marginal | PointMass | DrawnScalar]:  # type: ignore[override]
        """Lambda, sigma, tau and, where they are learned, the degrees of freedom."""
        learned = {} if self.family.df is not None else {"df": DrawnScalar("df", self._own[1])}  # type: ignore[attr-defined]
        return {"lambda": self.lambda_, "sigma": self.sigma, "tau": self.tau, **learned}

    @property
    def _measure(self) -> Array:
        return np.asarray(self._own[0])

    def log_prior(self, t: Array) -> Array:
        """Log density of log lambda under its prior, at the median of sigma where it moves with sigma."""
        return self.prior.given_sigma(t, np.log(self._typical[0]), self.design.signal)

    def _log_priors(self, prior: Prior, t: Array, some: slice) -> Array:
        return prior.given_sigma(t, np.log(self._own[0][:, some, None]), self.design.signal)

    @property
    def _usual_prior(self) -> Prior:
        return BetaR2()

    @property
    def _typical(self) -> Array:
        return np.median(self._own, axis=(1, 2))

    def _family_at(self, drawn: Draws) -> Family:
        assert drawn.noise_df is not None
        return self.family.given(np.stack([drawn.sigma, drawn.noise_df])[..., None])

    @property
    def work(self) -> float:
        """Multiplications that a fit of twice the rows takes, about: every sweep has an eigendecomposition."""
        n, d = self.rows().rows.shape
        return float(2.0 * self.draws_.node.size * (n + 10.0 * d) * d**2)

    def draw(self, draws: int = 1000, chains: int = 4, random_state: int | np.random.Generator | None = None) -> Draws:
        """Draws picked at random, with replacement, from those of the chains: arrays of shape (chains, draws, ...)."""
        check_counts(draws=draws, chains=chains)
        rng = generator(random_state)
        node = self.draws_.node.ravel()
        picked = rng.integers(len(node), size=(chains, draws))
        sigma, df = (values.ravel()[picked] for values in self._own)
        # lambda lies between the nodes: less than a tenth of the variance that it has given the weights
        step = 0.0 if len(self.t) == 1 else self.t[1] - self.t[0]
        t = self.t[node[picked]] + step * (rng.random(picked.shape) - 0.5)
        tau = sigma * np.exp(-0.5 * t)
        theta = self.draws_.theta.reshape(len(node), -1)[picked]
        coef, centre = self.directions.coefficients(self.design, theta, tau, rng)
        intercept = centre - coef @ self.design.mean if self.design.fit_intercept else centre
        return Draws(intercept, coef, sigma, tau, np.exp(t), noise_df=df)

    def to_datatree(
        self,
        draws: int | None = None,
        chains: int | None = None,
        random_state: int | np.random.Generator | None = None,
        *,
        predictive: bool = False,
    ) -> xr.DataTree:
        """Draws as an ArviZ ``xarray.DataTree``, by default four chains of 1000, picked at random."""
        rng = generator(random_state)
        attrs: dict[str, str | int | float] = {
            "method": self.method, "family": self.family.in_words, "prior": self.prior.text,
            "noise_prior": self.noise_prior.text, "sampler": self.how, "check": "; ".join(self.check),
        }  # fmt: skip
        drawn = self.draw(1000 if draws is None else draws, 4 if chains is None else chains, rng)
        return to_datatree(self.design, drawn, spectrum=None, attrs=attrs, random_state=rng, predictive=predictive)

    def options(self) -> dict[str, Any]:
        """Return the arguments of the estimator that makes this posterior from plain columns."""
        return super().options() | {"noise_prior": self.noise_prior}

    def state(self, *, rows: bool = False) -> State:
        """What a file holds: the draws, and how the columns enter; the data only if asked for."""
        facts, arrays = super().state(rows=rows)
        return {**facts, "engine": "student", "noise_prior": prior_state(self.noise_prior)}, arrays | {
            "drawn": self._own
        }


def infer_student(
    family: Student,
    design: Design,
    prior: Prior | None,
    noise_prior: NoisePrior | None,
    offset: ArrayLike | None,
    trials: ArrayLike | None,
) -> StudentPosterior:
    """Sample the posterior; the same data give the same draws.

    Raises
    ------
    DataError
        For offsets, trials and precision weights.
    PriorError
        For priors that fix tau.
    """
    if design.weights is not None and design.weight_kind == "precision":
        raise DataError(
            "precision weights are for family='gaussian'; under Student-t noise each row's precision is learned. For "
            "repeated rows use weight_kind='frequency'"
        )
    if offset is not None:
        raise DataError("an offset of a number is subtracted from the target: fit y - offset")
    prior, noise_prior = prior or BetaR2(), noise_prior or Jeffreys()
    check_priors(prior, noise_prior)
    if prior.states_noise or (prior.known is not None and not (prior.variable == "lambda" and prior.known > 0)):
        raise PriorError(
            f"{prior.text}: under Student-t noise lambda is learned, or fixed by FixedLambda (positive); sigma has a "
            "noise_prior of its own"
        )
    return _infer(make_outcome(family, design, None, trials), prior, noise_prior)


def _infer(problem: Outcome, prior: Prior, noise_prior: NoisePrior) -> StudentPosterior:
    with threads_for(max(problem.rows.shape[1], 32)):
        rng = np.random.default_rng(SEED)
        gibbs = Gibbs(problem, prior, noise_prior, rng)
        draws, logs = gibbs.run(_FIRST), {"log lambda": gibbs.t}
        while True:
            count = draws.node.shape[1] // CHAINS
            before, draws = draws, joined(draws, gibbs.run(count))
            verdict = judge(problem, logs, before, draws, weighted=False)
            if verdict.passed or draws.node.shape[1] >= _MOST:
                break
        evidence = student_evidence(problem, prior, noise_prior, draws, gibbs.t, rng)
    if not verdict.passed:
        warn(accuracy_text(verdict), AccuracyWarning)
    return StudentPosterior(
        problem.family, problem.design, problem.directions, prior, draws, gibbs.t, np.zeros(len(gibbs.t)), None,
        "collapsed Gibbs sampling: weights of the rows, then lambda, sigma and coefficients jointly given them",
        (f"accuracy: {verdict.sentence}",), evidence, problem.asks, _again(noise_prior), problem, False, noise_prior,
    )  # fmt: skip


def _again(noise_prior: NoisePrior) -> Callable[[Outcome, Prior], OutcomePosterior]:
    return partial(_infer, noise_prior=noise_prior)


def student_from_state(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> StudentPosterior:
    """Make the posterior of what a file holds.

    Raises
    ------
    ModelFileError
        If parts do not fit together.
    """
    base = outcome_from_state(facts, arrays)
    parts = {one.name: getattr(base, one.name) for one in fields(base)}
    noise_prior, drawn = prior_from_state(facts["noise_prior"]), arrays["drawn"]
    if drawn.shape != (2, *base.draws_.node.shape) or not (np.isfinite(drawn) & (drawn > 0)).all():
        raise ModelFileError("its draws of the noise do not fit its other draws")
    parts |= {"draws_": replace(base.draws_, extra=drawn), "infer": _again(noise_prior), "noise_prior": noise_prior}
    return StudentPosterior(**parts)
