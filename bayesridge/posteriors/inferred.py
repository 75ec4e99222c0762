"""What is inferred of the scales: lambda, sigma, tau and what follows from them, and the evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesridge.design.design import Design
from bayesridge.engines.engine import Engine
from bayesridge.engines.spectral import spectrum_of
from bayesridge.errors import DataError, NoSignalWarning, warn
from bayesridge.hyper.evidence import EvidenceMaximum, ModeShare, maximize_evidence, rises_to_infinity
from bayesridge.hyper.marginal import Marginal, PointMass, Scalar
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.hyper.reml import Deviance, estimate, log_marginal_without
from bayesridge.linalg.spectrum import Spectrum
from bayesridge.posteriors.comparison import log_bayes_factor
from bayesridge.posteriors.scales_of_lambda import effective_dof_of, r2_of
from bayesridge.posteriors.term_table import component_table
from bayesridge.priors import NoisePrior, Prior

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["posterior", "evidence", "fixed"]


@dataclass(frozen=True, eq=False, repr=False)
class Inferred:
    """An engine, the priors, and the posterior of its scales.

    Attributes
    ----------
    engine : Engine
        The problem, factorised under its structure of penalties.
    prior, noise_prior : Prior, NoisePrior
    hyper : HyperPosterior
        The posterior of the scales on its quadrature nodes.
    method : {"posterior", "evidence", "fixed"}
        Whether lambda is integrated, plugged in at the maximum of the evidence, or given.
    """

    engine: Engine
    prior: Prior
    noise_prior: NoisePrior
    hyper: HyperPosterior
    method: Method = "posterior"

    @property
    def design(self) -> Design:
        """The description of the data: names, centres, scales, weights, rows."""
        return self.engine.design

    @property
    def spectrum(self) -> Spectrum:
        """The one decomposition of a model with a single lambda.

        Raises
        ------
        DataError
            If this posterior rests on another engine: what needs a spectrum (rules for lambda, the slider, the
            spectral check) is for ridge with one lambda.
        """
        return spectrum_of(self.engine)

    @property
    def prior_texts(self) -> tuple[str, str]:
        """The prior and the noise prior in words."""
        return self.prior.text, self.noise_prior.text

    @cached_property
    def lambda_(self) -> Marginal | PointMass:
        """Posterior of lambda = sigma^2 / tau^2 (a point when fixed or plugged in)."""
        return self.hyper.lambda_marginal()

    @cached_property
    def sigma(self) -> Marginal | PointMass:
        """Posterior of the noise standard deviation, in units of y."""
        return self.hyper.sigma_marginal()

    @cached_property
    def tau(self) -> Marginal | PointMass:
        """Posterior of the prior standard deviation of the standardised coefficients, in units of y."""
        return self.hyper.tau_marginal()

    @cached_property
    def r2(self) -> Marginal | PointMass:
        """Posterior of ``R^2 = W / (1 + W)``, ``W = signal / lambda``: the share of variance the prior is about.

        It is the population share at this lambda, not the fraction of the sample's variance that was fitted.
        """
        return r2_of(self.spectrum, self.lambda_)

    @cached_property
    def effective_dof(self) -> Marginal | PointMass:
        """Posterior of the effective degrees of freedom of the penalised columns (intercept not counted)."""
        return effective_dof_of(self.spectrum, self.lambda_)

    @property
    def scales(self) -> Mapping[str, Scalar]:
        """The scales by the names that tables give them."""
        if self.engine.spectrum is None:
            return self.hyper.scales()
        return {
            "lambda": self.lambda_, "sigma": self.sigma, "tau": self.tau, "R2": self.r2,
            "effective dof": self.effective_dof,
        }  # fmt: skip

    @cached_property
    def evidence(self) -> EvidenceMaximum:
        """All maxima of the evidence (no prior on lambda) and the global one."""
        return maximize_evidence(self.spectrum)

    @cached_property
    def evidence_modes(self) -> tuple[ModeShare, ...]:
        """Every maximum of the evidence with the posterior probability of its basin, by increasing lambda."""
        edges = np.array(self.evidence.boundaries)
        below = np.concatenate([[0.0], self.lambda_.cdf(edges), [1.0]])
        shares = np.diff(below)
        return tuple([ModeShare(mode, float(share)) for mode, share in zip(self.evidence.modes, shares, strict=True)])

    @property
    def log_marginal_likelihood(self) -> float:
        """Log p(y) in nats: lambda, sigma, coefficients and flat directions integrated.

        The flat prior of the intercept (density 1 in data units) and Jeffreys' prior (density 1/sigma^2) are improper;
        they cancel between models that share them, see :meth:`log_bayes_factor`. At lambda = 0 the coefficients have
        a flat prior too, of density 1 per unit of a scaled column's coefficient.
        """
        return self.hyper.log_marginal

    @property
    def reml_criterion(self) -> float:
        """Minus twice the restricted log likelihood at the scales plugged in (method="evidence"), as lme4 states it."""
        if self.method != "evidence":
            raise DataError("a REML criterion belongs to estimates: fit with method='evidence'")
        return float(Deviance(self.engine, "REML").best(self.hyper.nodes.theta)[0][0])

    def variance_components(self, kind: Literal["REML", "ML"] = "REML", level: float = 0.95) -> pd.DataFrame:
        """Estimate the scales by the maximum of the likelihood, restricted or not, whatever the priors here.

        Parameters
        ----------
        kind : {"REML", "ML"}
        level : float
            Of the intervals: by the curvature in the logarithms (Wald; zero has none), and by the profile
            of the deviance. Both take the other scales for what fits best; only the posterior averages over them.

        Returns
        -------
        pandas.DataFrame
            One row each tau (zero: at the boundary) and sigma; ``attrs["criterion"]`` is -2 log likelihood.
        """
        return component_table(estimate(self.engine, kind), level)

    def log_bayes_factor_of(self, group: str) -> float:
        """Log Bayes factor of a group of effects against none of them (tau = 0), the other priors as they are."""
        names = [name.split("[", 1)[-1].removesuffix("]") for name in self.engine.theta_names]
        gone = [k for k, name in enumerate(names) if name == group]
        if not gone or self.method == "evidence":
            raise DataError(
                f"{group!r} is no group of this model ({', '.join(dict.fromkeys(names))})" if not gone
                else "method='evidence' chose the scales from the data: a Bayes factor needs method='posterior'"
            )  # fmt: skip
        return self.hyper.log_marginal - log_marginal_without(self.engine, gone, self.prior, self.noise_prior)

    @property
    def quadrature_error(self) -> float:
        """Estimated relative error of the integral over lambda."""
        return self.hyper.error

    def log_bayes_factor(self, other: Any) -> float:
        """Log Bayes factor of this model against another fitted to the same data: positive favours this one.

        The other may have Student-t noise; ``log_evidence[1]`` is the standard error of its log p(y).

        Raises
        ------
        DataError
            If the targets, rows or weights differ, or the models differ in a part whose prior is improper, whose
            arbitrary constant would then decide.
        """
        return log_bayes_factor(self, other)

    @property
    def improper_noise(self) -> bool:
        """Whether sigma's prior has an arbitrary constant."""
        return not self.prior.with_noise(self.noise_prior)[1].proper


def warn_without_signal(design: Design, spectrum: Spectrum) -> None:
    """Warn where the evidence is highest as lambda -> infinity."""
    if spectrum.degenerate or spectrum.rank == 0:
        return
    if rises_to_infinity(spectrum) and maximize_evidence(spectrum).best.place == "infinity":
        what = (
            f"no signal of the columns in {design.target_name}; predictions stay near its mean" if design.basis is None
            else f"in {design.target_name} nothing of what is penalised; x stays near what the penalty does not see"
        )  # fmt: skip
        warn(f"the evidence is highest as lambda -> infinity: these data show {what}", NoSignalWarning)
