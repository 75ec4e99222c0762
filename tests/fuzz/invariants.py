"""What holds of every posterior, whatever the table: the fuzzer's oracle."""

import warnings
from dataclasses import replace

import numpy as np

from bayesridge.errors import (
    AccuracyWarning,
    BayesRidgeError,
    BayesRidgeWarning,
    ConstantTargetWarning,
    PerfectFitWarning,
)
from bayesridge.fit import posterior
from tests.fuzz.cases import Case, laid_out, noise_of, prior_of, table
from tests.fuzz.exact import exact_fit

LEVELS = (0.025, 0.25, 0.5, 0.75, 0.975)
#: Two ways to the same numbers agree to this many posterior sds: the promise of 1e-9 with room for rounding in columns
#: that are equal to ten digits (1e-10 of the data is 1e-6 of what tells them apart).
SAME = 1e-6
#: The cdf at a quantile: of the 95% interval. A spike inside heavy tails is narrower than any sd.
CROSSED = 1e-4
UNIT = 2.0**10  # exact in binary: the numbers are the same, only the exponents move


class BrokenInvariantError(Exception):
    """Something that always holds does not."""


def require(truth, text):
    """Raise the text unless every element is true; one that writes out arrays is a function, called when needed."""
    if not np.all(truth):
        raise BrokenInvariantError(text() if callable(text) else text)


def fitted(case: Case, numbers, unit=1.0, layout=None, answers=None):
    """What `answers` (all that is promised) say of the posterior, and whether it announced that digits are missing, or
    that the noise is the rounding of y.

    Only our own warnings may be given.
    """
    X, y, w = numbers
    scale_y = unit * 10.0**case.decade_y
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        post = posterior(
            laid_out(layout or case.layout, X), y, prior=prior_of(case, scale_y), noise_prior=noise_of(case, scale_y),
            weights=w, weight_kind=case.weight_kind, fit_intercept=case.intercept, scale=case.scale,
            unpenalized=case.unpenalized, method=case.method,
        )  # fmt: skip
        numbers = (answers or promised)(post)
    for warning in given:
        require(issubclass(warning.category, BayesRidgeWarning), f"a foreign warning: {warning.message}")
    doubt = (AccuracyWarning, PerfectFitWarning, ConstantTargetWarning)
    return numbers, any(issubclass(warning.category, doubt) for warning in given)


def compared(post):
    """What two forms of one posterior are compared by."""
    coef = post.coefficients
    outer, inner = (np.asarray(coef.interval(level)) for level in (0.95, 0.5))
    found = {"mean": np.asarray(coef.mean), "sd": np.asarray(coef.sd)}
    found["quantiles"] = np.column_stack([outer[:, 0], inner[:, 0], coef.quantile(0.5), inner[:, 1], outer[:, 1]]).T
    for name in ("lambda_", "sigma", "r2", "effective_dof"):
        found[name] = _ordered(name, np.asarray(getattr(post, name).quantile(np.array(LEVELS))))
    found["evidence"] = post.log_marginal_likelihood
    return found


def promised(post):
    """What every posterior answers, with the invariants of one posterior checked on the way."""
    coef, found = post.coefficients, compared(post)
    require(np.isfinite(found["mean"]) | np.isinf(found["sd"]), lambda: f"a mean is {found['mean']}")
    require(found["sd"] >= 0, lambda: f"an sd is {found['sd']}")
    quantiles = found["quantiles"]
    require(np.isfinite(quantiles), "a quantile of a coefficient is not finite")
    require(np.diff(quantiles, axis=0) >= 0, lambda: f"quantiles of a coefficient are not in order: {quantiles.T}")
    positive = np.asarray(coef.prob_positive)
    require((positive >= 0) & (positive <= 1), lambda: f"P(> 0) is {positive}")
    # the cdf crosses each level there, within a small part of the interval: it may jump
    room = CROSSED * (quantiles[-1] - quantiles[0]) + 1e-14 * np.abs(quantiles)
    below, above = (np.array([coef.cdf(row) for row in (quantiles + side * room)[::2]]) for side in (-1, 1))
    ends = [coef.cdf(np.full(len(coef), end)) for end in (-np.inf, np.inf)]
    require((np.r_[below, ends] >= 0) & (np.r_[above, ends] <= 1), lambda: f"a cdf is {below.T}, {above.T}, {ends}")
    q = np.array(LEVELS)[::2, None]
    wrong = (quantiles[-1] > quantiles[0]) & ((below > q + 1e-9) | (above < q - 1e-9))  # point masses apart
    require(~wrong, lambda: f"the cdf at a quantile is {below[wrong][:3]} to {above[wrong][:3]}")
    _ordered("tau", np.asarray(post.tau.quantile(np.array(LEVELS))))
    require(found["r2"] <= 1, lambda: f"R2 is {found['r2']}")
    require(not np.isnan(found["evidence"]), "log p(y) is NaN")
    at = post.predict(np.asarray(post.design.X[:2], dtype=float))
    low, high = np.asarray(at.interval(0.9)).T
    require(np.isfinite(low) & np.isfinite(high), lambda: f"a predictive interval is {low}, {high}")
    require(low <= high, lambda: f"a predictive interval is {low}, {high}")
    return found


def _ordered(name, values):
    require(~np.isnan(values), lambda: f"a quantile of {name} is NaN: {values}")
    require(values[1:] >= values[:-1], lambda: f"quantiles of {name} are not in order: {values}")
    require(values >= 0, lambda: f"{name} is negative: {values}")
    return values


def check(case: Case):
    """Return what came of the case ("fitted" or the name of our refusal); raise where something is broken."""
    numbers = table(case)
    try:
        found, doubtful = fitted(case, numbers)
    except BayesRidgeError as error:
        require(len(str(error)) > 20, f"an error that says nothing: {error!r}")
        return type(error).__name__
    if not doubtful and resolved(case, numbers):
        found |= carried(case, numbers, found)
        RELATED[case.relation](case, numbers, found)
        exact = exact_fit(case, numbers)
        if exact is not None:
            log_evidence, mean, sd = exact
            room = 1e-9 * (1.0 + abs(log_evidence)) + 1e-6
            require(
                abs(found["evidence"] - log_evidence) <= room, f"log p(y) {found['evidence']}, exactly {log_evidence}"
            )
            same = SAME + found["carried"]
            off = np.abs(found["mean"] - mean)
            require(
                off <= same * sd + 1e-9 * np.abs(mean),
                lambda: f"means {found['mean']}, exactly {mean}; sd {sd}",
            )
            off = np.abs(found["sd"] / np.where(sd > 0, sd, 1.0) - 1.0)
            require(
                (off <= same) | (sd == 0) | np.isinf(found["sd"]),
                lambda: f"sds {found['sd']}, exactly {sd}",
            )
    return "doubtful" if doubtful else "fitted"


def resolved(case: Case, numbers):
    """Whether float64 carries the answer: the data are no rounding errors of themselves, and there is noise.

    Where a column is equal to others to ten digits or more, or y to a combination of them, what remains is rounding,
    and two orders of summation have two answers; a prior many decades wide sees the rounding of equal columns too, and
    so does an ordinary one of columns many decades long. Such cases must still be fitted or refused, without a broken
    number.
    """
    X = numbers[0]
    if case.target in ("constant", "zero", "perfect") or "offset 1e12" in case.columns:
        return False
    wide = case.prior_decade + (0 if case.scale else case.decade_x + case.graded) > 6
    with np.errstate(all="ignore"):
        rest = X / np.abs(X).max(axis=0)
        rest = rest[:, np.ptp(rest, axis=0) > 0] if case.intercept else rest[:, np.isfinite(rest).all(axis=0)]
        rest = rest - rest.mean(axis=0) * case.intercept
        s = np.linalg.svd(rest / np.sqrt(np.square(rest).sum(axis=0)), compute_uv=False) if rest.size else np.ones(1)
    unclear = (s < 1e-6 * s[0]) & ((s > 1e-15 * s[0]) | wide)
    return bool(np.isfinite(s).all()) and not unclear.any()


def carried(case: Case, numbers, found):
    """Posterior sds by which rounding the rows moves coefficients, whatever the algorithm.

    A backward stable one answers for rows ``X + E, y + e`` with columns of E and e within p eps of those of X and y.
    With ``A = X'X + lambda`` the means move by ``A^-1 X'(e - E b)``, which Cauchy and Schwarz bound for coefficient j
    by ``sqrt((A^-1)_jj) |e - E b|``: in its sds, sigma times that root, by ``p eps (|y| + sum_j |x_j| |b_j|) / sigma``.
    (What E does to the residual is a matter of dependent columns, see `resolved`.) It counts where y is 1e8 sigma, as
    with an offset and no intercept, or weights make sigma that of a row 1e12 times as heavy. The residual r moves as
    much, and ``-|r|^2 / (2 sigma^2)``, the log likelihood, by ``depth = |r| / sigma`` times that; lambda follows it.
    """
    X, y, w = numbers
    w = np.ones(case.rows) if w is None else w
    share = case.intercept * w / w.sum()
    rows = np.sqrt(w)[:, None] * (np.column_stack([X, y]) - share @ np.column_stack([X, y]))
    size = np.sqrt(np.square(rows).sum(axis=0))
    terms = size[-1] + size[:-1] @ np.abs(found["mean"])
    moved = (X.shape[1] + 1) * np.finfo(np.float64).eps * terms / found["sigma"][0]
    rest = rows[:, -1] - rows[:, :-1] @ found["mean"]
    return {"carried": moved, "depth": 1.0 + np.sqrt(rest @ rest) / found["sigma"][0]}


# -- relations between two posteriors --------------------------------------------------------------------------------


def _compare(found, other, *, order=slice(None), factor=1.0, coef=1.0, evidence=True):
    """Require that `other` is `found` in other units: y times `factor`, coefficients times `coef`."""
    sd = found["sd"]
    # probabilities that move by dF move a quantile by dF / density, and one over it is, on average up to the next
    # quantile, at least the distance of the two: between two sizes of coefficients 97.5% is 1e7 quartiles away
    gaps = np.diff(found["quantiles"], axis=0)
    width = np.maximum(gaps[[0, 0, 1, 2, 3]], gaps[[0, 1, 2, 3, 3]])
    finite = np.isfinite(sd)
    likely = SAME + found["carried"] * found["depth"]
    room = SAME * np.minimum(np.where(finite, sd, np.inf), width) + 1e-12 * np.abs(found["mean"])
    room += found["carried"] * np.where(finite, sd, width)  # rounded rows move the mean, and all quantiles with it
    got = other["quantiles"][:, order] / coef
    require(
        np.abs(got - found["quantiles"]) <= 3 * room,
        f"quantiles moved by {np.nanmax(np.abs(got - found['quantiles']) / (room + 1e-300)):.3g} x their room",
    )
    for name, unit in (("lambda_", 1.0), ("sigma", factor), ("r2", 1.0), ("effective_dof", 1.0)):
        got = other[name] / unit
        least = 1e-12 if name == "effective_dof" else 1e-300  # dof of columns that others span are rounding
        close = np.isclose(got, found[name], rtol=likely, atol=least)
        require(close, lambda name=name, got=got: f"{name} {found[name]} became {got}")
    if evidence:
        require(
            np.isclose(other["evidence"], found["evidence"], rtol=1e-9, atol=likely),
            f"log p(y) {found['evidence']} became {other['evidence']}",
        )


def _again(case, numbers, **options):
    """Fit what must be fitted too."""
    try:
        return fitted(case, numbers, answers=compared, **options)
    except BayesRidgeError as error:
        raise BrokenInvariantError(f"fitted once and refused in the other form: {error}") from error


def _none(*_):
    pass


def _layout(case, numbers, found):
    layout = ("plain", "fortran", "read-only", "list")[case.seed % 4]
    _compare(found, _again(case, numbers, layout=layout)[0])


def _rows(case, numbers, found):
    X, y, w = numbers
    order = np.random.default_rng(case.seed + 1).permutation(case.rows)
    _compare(found, _again(case, (X[order], y[order], None if w is None else w[order]))[0])


def _columns(case, numbers, found):
    X, y, w = numbers
    p = X.shape[1]
    order = np.random.default_rng(case.seed + 1).permutation(p)
    place = np.argsort(order)
    moved = replace(case, unpenalized=tuple(int(place[j]) for j in case.unpenalized))
    _compare(found, _again(moved, (X[:, order], y, w))[0], order=place)


def _unit_of_y(case, numbers, found):
    X, y, w = numbers
    _compare(found, _again(case, (X, y * UNIT, w), unit=UNIT)[0], factor=UNIT, coef=UNIT, evidence=False)


def _unit_of_column(case, numbers, found):
    if not case.scale or case.layout in ("float16", "float32", "integers", "booleans"):
        return
    X, y, w = numbers
    units = np.where(np.arange(X.shape[1]) == 0, UNIT, 1.0)
    flat = 0 in case.unpenalized  # the flat density of that coefficient is one in its units
    _compare(found, _again(case, (X * units, y, w))[0], coef=1.0 / units, evidence=not flat)


def _repeated(case, numbers, _):
    """Rows written out twice are the frequency weight 2."""
    if case.weights not in ("none", "ones", "counts") or case.weight_kind != "frequency":
        return
    X, y, w = numbers
    w = np.ones(case.rows) if w is None else w
    doubled, doubtful = _again(case, (X, y, 2.0 * w))
    written, also = _again(case, (np.repeat(X, 2, axis=0), np.repeat(y, 2), np.repeat(w, 2)))
    if not (doubtful or also):
        _compare(doubled | carried(case, (X, y, 2.0 * w), doubled), written)


def _sign(case, numbers, found):
    X, y, w = numbers
    other = _again(case, (X, -y, w))[0]
    other["quantiles"] = -other["quantiles"][::-1]
    _compare(found, other)


RELATED = {
    "none": _none, "layout": _layout, "order of rows": _rows, "order of columns": _columns, "unit of y": _unit_of_y,
    "unit of a column": _unit_of_column, "rows repeated": _repeated, "sign of y": _sign,
}  # fmt: skip
