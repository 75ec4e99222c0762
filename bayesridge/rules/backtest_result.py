r"""What a nested backtest found, and how sure the differences are.

Over J splits the differences d_j of a rule to the best one have the standard error of Nadeau and Bengio (2003, Machine
Learning 52),

    se = sqrt( (1/J + n_test / n_train) S^2 ),     S^2 = sum_j (d_j - dbar)^2 / (J - 1),

since training sets overlap and test sets repeat: the plain S / sqrt(J) would shrink to nothing with ever more splits of
the same rows. It is an approximation, derived for random splits and rough for time-ordered or grouped ones. A rule is
called worse than the best beyond the Student-t quantile (J - 1 degrees of freedom) at which, over all rules together,
one in twenty would be called so by chance (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Score = Literal["rmse", "log_score"]


def corrected_standard_error(differences: Array, test_over_train: float) -> float:
    """Standard error of the mean of paired differences over overlapping splits (Nadeau and Bengio 2003).

    Parameters
    ----------
    differences : ndarray of shape (J,)
    test_over_train : float
        Size of a test set over that of a training set.

    Returns
    -------
    float
        NaN for fewer than two splits, and where a difference is infinite.
    """
    J = len(differences)
    if J < 2 or not np.isfinite(differences).all():
        return np.nan
    return float(np.sqrt((1.0 / J + test_over_train) * np.var(differences, ddof=1)))


@dataclass(frozen=True, eq=False)
class Backtest:
    """Held-out errors of every rule on every split.

    Attributes
    ----------
    splits : pandas.DataFrame
        One row a split and rule: ``split``, ``rule``, ``lambda`` (NaN for the full posterior), ``rmse`` (units of y),
        ``log_score`` (mean log predictive density of a test observation, nats; sigma integrated, lambda too for the
        full posterior), ``n_train``, ``n_test``, and ``problem``: why there is no answer ("" where there is one).
    labels : dict
        Rule key to its name.
    test_over_train : float
        Mean ratio of test to training observations.
    asked : int
        Splits there were to be; more than there are after an interruption.
    how : str
        The splitter in words.
    target : str
        Name of the target.
    seconds : float
    """

    splits: pd.DataFrame
    labels: dict[str, str]
    test_over_train: float
    asked: int
    how: str
    target: str
    seconds: float

    @property
    def n_splits(self) -> int:
        """Splits that were done."""
        return int(self.splits["split"].nunique())

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped before all splits were done."""
        return self.n_splits < self.asked

    def by_split(self, score: Score | Literal["lambda"]) -> pd.DataFrame:
        """Scores (or lambda) as a table, one row a split, one column a rule."""
        order = self.splits["rule"].unique()
        return self.splits.pivot(index="split", columns="rule", values=score)[order]

    def best(self, score: Score) -> str:
        """Key of the rule with the best mean score, among those that answered on every split."""
        mean = self.by_split(score).mean(skipna=False)
        return str(mean.idxmin() if score == "rmse" else mean.idxmax())

    def differences(self, score: Score) -> pd.DataFrame:
        """Paired differences to the best rule over the splits where a rule answered.

        Returns
        -------
        pandas.DataFrame
            Index: rule. Columns ``mean``, ``difference`` (rule less best), ``se`` (corrected, see the module's text),
            ``answered`` (splits).
        """
        import pandas as pd

        table = self.by_split(score)
        paired = table.sub(table[self.best(score)], axis=0)
        rows = []
        for key in table.columns:
            d = paired[key].dropna().to_numpy()
            mean = float(d.mean()) if len(d) else np.nan
            rows.append((table[key].mean(), mean, corrected_standard_error(d, self.test_over_train), len(d)))
        index = pd.Index([str(key) for key in table.columns], name="rule")
        return pd.DataFrame(rows, columns=["mean", "difference", "se", "answered"], index=index)

    def summary(self) -> pd.DataFrame:
        """One row a rule, lowest RMSE first: median lambda, mean scores, differences to the best with their se."""
        import pandas as pd

        rmse, log_score = self.differences("rmse"), self.differences("log_score")
        table = pd.DataFrame(
            {
                "label": [self.labels[str(key)] for key in rmse.index],
                "median_lambda": self.splits.groupby("rule", sort=False)["lambda"].median(),
                "rmse": rmse["mean"],
                "rmse_difference": rmse["difference"],
                "rmse_se": rmse["se"],
                "log_score": log_score["mean"],
                "log_score_difference": log_score["difference"],
                "log_score_se": log_score["se"],
                "answered": rmse["answered"],
            }
        )
        return table.sort_values("rmse", kind="stable")

    @property
    def verdict(self) -> str:
        """What was seen, in words, and no more than that."""
        lines = [f"{self.n_splits} splits ({self.how}); lambda chosen anew in each training set."]
        if self.interrupted:
            lines.append(f"Interrupted: {self.asked} splits were asked for.")
        lines.append(self._told_apart("rmse", "RMSE", f"{self.target} units"))
        lines.append(self._told_apart("log_score", "log score", "nats an observation"))
        lines += self._without_answer()
        lines.append(
            f"A difference is called one beyond {self.critical_value:.2f} standard errors (95% for all rules jointly), "
            "corrected for overlapping training sets (Nadeau and Bengio), an approximation; the best was picked on "
            "these splits and may not be the best on other rows."
        )
        return " ".join(lines)

    @property
    def critical_value(self) -> float:
        """Standard errors beyond which a difference is called one: 95% for all rules jointly."""
        compared = max(int(self.splits["rule"].nunique()) - 1, 1)
        return float(stdtrit(max(self.n_splits - 1, 1), 1.0 - 0.025 / compared))

    def _told_apart(self, score: Score, name: str, unit: str) -> str:
        table, best = self.differences(score), self.best(score)
        rest = table.drop(index=best)
        worse = rest[(rest["difference"].abs() > self.critical_value * rest["se"]) | np.isinf(rest["difference"])]
        mean = float(table["mean"][best])
        text = f"Best {name}: {self.labels[best]} ({mean:.4g} {unit})"
        if len(worse) == 0:
            return f"{text}, which no other rule can be told apart from."
        equal = len(rest) - len(worse)
        names = ", ".join(
            f"{self.labels[str(key)]} ({row['difference']:+.2g}, se {row['se']:.1g})" for key, row in worse.iterrows()
        )
        tie = f"; {equal} cannot be told apart from it" if equal else ""
        return f"{text}{tie}; measurably worse: {names}."

    def _without_answer(self) -> list[str]:
        missing = self.splits[self.splits["problem"] != ""]
        lines = []
        for key, part in missing.groupby("rule", sort=False):
            lines.append(
                f"{self.labels[str(key)]} had no answer on {len(part)} of {self.n_splits} splits "
                f"({part['problem'].iloc[0]}) and cannot be the best."
            )
        return lines
