r"""What a single row does to lambda: the posterior of log lambda without it, exactly, for every row.

    p(lambda | y_-i) is proportional to p(lambda | y) / p(y_i | y_-i, lambda),

so that the weights of the quadrature nodes without row i come out of leave-one-out at no further cost. Of several
lambdas each row is told by the one that it moves most, in posterior standard deviations. Rows for which
the nodes of the full posterior do not serve are refitted (:attr:`LeaveOneOut.refitted` says which).

Column scales, and the prior of lambda, are held fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.errors import DataError
from bayesridge.fit import one_lambda
from bayesridge.hyper.nodes import HyperPosterior
from bayesridge.posteriors.shown import Finding

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: A row is called influential when leaving it out moves the mean of log lambda by more posterior sds than this.
LIMIT = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class RowInfluence(Finding):
    """Result of :func:`row_influence`.

    Attributes
    ----------
    log_lambda_shift : ndarray of shape (n_rows,)
        Posterior mean of log lambda without one observation of the row less that with it (NaN for weight zero).
    log_lambda_mean, log_lambda_sd : float, or ndarray of shape (n_rows,)
        With all rows; where there are several lambdas, of the one in `of`.
    refitted : ndarray of bool, shape (n_rows,)
        Rows done by an actual fit without them.
    input_rows : ndarray of int, shape (n_rows,)
        Where each row stood in the input, counted from 0; rows are named by it.
    of : tuple of str, length n_rows
        Which lambda it is.
    """

    log_lambda_shift: Array
    log_lambda_mean: float | Array
    log_lambda_sd: float | Array
    refitted: NDArray[np.bool_]
    input_rows: NDArray[np.intp]
    of: tuple[str, ...]

    @property
    def shift_in_sds(self) -> Array:
        """Shift over the posterior sd of log lambda."""
        return self.log_lambda_shift / self.log_lambda_sd

    def top(self, k: int = 5) -> tuple[int, ...]:
        """Return the positions (in the arrays here) of the k rows that move lambda most, largest first."""
        size = np.where(np.isnan(self.log_lambda_shift), -1.0, np.abs(self.log_lambda_shift))
        order = np.argsort(-size, kind="stable")[: min(k, int((size >= 0).sum()))]
        return tuple(order.tolist())

    def _name(self, position: int) -> str:
        return str(int(self.input_rows[position]))

    @cached_property
    def influential(self) -> tuple[int, ...]:
        """Rows that move the mean of log lambda by more than half a posterior sd."""
        count = int((np.abs(np.nan_to_num(self.shift_in_sds)) > LIMIT).sum())
        return self.top(count)

    @property
    def passed(self) -> bool:
        """Whether no single row is influential."""
        return not self.influential

    @property
    def verdict(self) -> str:
        """Which row moves lambda most, and by how much."""
        row = self.top(1)[0]
        factor, sds = float(np.exp(self.log_lambda_shift[row])), float(self.shift_in_sds[row])
        moved = (
            f"without row {self._name(row)} {self.of[row]} is {factor:.2g} times what it is ({sds:+.2g} posterior sds)"
        )
        if self.passed:
            return f"no single row decides {self._what}: at most, {moved}"
        n = len(self.influential)
        which = ", ".join(self._name(i) for i in self.influential[:5]) + (" ..." if n > 5 else "")
        return f"{n} row{'s' if n > 1 else ''} ({which}) move{'' if n > 1 else 's'} {self._what} noticeably: {moved}"

    @property
    def _what(self) -> str:
        return "lambda" if np.ndim(self.log_lambda_sd) == 0 else "a lambda"

    @property
    def table(self) -> pd.DataFrame:
        """One row a row of the data: shift, factor on lambda, shift in posterior sds, refitted."""
        import pandas as pd

        columns = {
            "scale": self.of, "log_lambda_shift": self.log_lambda_shift, "factor": np.exp(self.log_lambda_shift),
            "shift_in_sds": self.shift_in_sds, "refitted": self.refitted,
        }  # fmt: skip
        return pd.DataFrame(columns, index=pd.Index(self.input_rows, name="row"))

    @property
    def record(self) -> dict[str, Any]:
        """Numbers for JSON: the ten rows that move lambda most."""
        return {
            "log_lambda_mean": self.log_lambda_mean,
            "log_lambda_sd": self.log_lambda_sd,
            "limit_in_sds": LIMIT,
            "influential": [int(self.input_rows[i]) for i in self.influential],
            "top": [
                {
                    "row": int(self.input_rows[i]),
                    "scale": self.of[i],
                    "factor": float(np.exp(self.log_lambda_shift[i])),
                    "sds": float(self.shift_in_sds[i]),
                }
                for i in self.top(10)
            ],
            "passed": self.passed,
            "verdict": self.verdict,
        }


def row_influence(posterior: Any) -> RowInfluence:
    """Measure how much each row moves the posterior of lambda.

    Parameters
    ----------
    posterior : Posterior or OutcomePosterior
        With lambda integrated.

    Returns
    -------
    RowInfluence

    Raises
    ------
    DataError
        If lambda is fixed or plugged in, or leave-one-out does not exist.
    """
    if posterior.has_curves:  # of weighted draws
        if posterior.method != "posterior":
            raise DataError("rows move lambda only where it is inferred; here it is fixed or plugged in")
        mean, sd, without = posterior.log_lambda_without()
        loo = posterior.loo
        shift = np.where(loo.count > 0, without - mean, np.nan)
        return RowInfluence(shift, mean, sd, loo.refitted, posterior.design.input_rows, ("lambda",) * len(shift))
    if not posterior.has_terms:
        posterior = one_lambda(posterior)
    if posterior.method != "posterior" or posterior.prior.known is not None:
        raise DataError("rows move lambda only where it is inferred; here it is fixed or plugged in")
    loo, nodes = posterior.loo, posterior.hyper.nodes
    names = [name.removeprefix("log ") for name in posterior.engine.theta_names if name.startswith("log ")]
    theta = nodes.theta[:, : len(names)]
    mean, sd = _log_moments(posterior.hyper, len(names))
    J = nodes.noise.share().shape[1]
    # the mixture is padded where a refitted row has more nodes; refitted rows are replaced below
    weight = loo.mixture.weight[:, : len(theta) * J].reshape(len(loo.y), -1, J).sum(axis=2)
    shift = weight @ theta - mean
    for i in np.flatnonzero(loo.refitted):
        hyper = posterior.infer_again(posterior.engine.without(int(i)))
        shift[i] = _log_moments(hyper, len(names))[0] - mean
    most = np.abs(shift / sd).argmax(axis=1)
    shift = np.where(loo.count > 0, shift[np.arange(len(shift)), most], np.nan)
    of = tuple([names[k] for k in most])
    one = len(names) == 1
    return RowInfluence(
        shift, float(mean[0]) if one else mean[most], float(sd[0]) if one else sd[most], loo.refitted,
        posterior.design.input_rows, of,
    )  # fmt: skip


def _log_moments(hyper: HyperPosterior, count: int) -> tuple[Array, Array]:
    """Means and standard deviations of the logarithms of the lambdas."""
    nodes = hyper.nodes
    theta = nodes.theta[:, :count]
    mean = nodes.weight @ theta
    return mean, np.sqrt(nodes.weight @ np.square(theta - mean))
