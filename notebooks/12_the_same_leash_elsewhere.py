# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
# %% [markdown]
# # 12 The same leash elsewhere
#
# **Guess first.** Someone trains a linear model on the diabetes table and, at each step, drops every input with
# probability p. At which p does that equal the ridge which the posterior of lambda suggests: 3%, 10% or 50%?
#
# A bound on a step, noise in the inputs, a leaky device, a wide margin: four leashes, one penalty.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq, least_squares, minimize
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from bayesridge import BayesRidge, BayesRidgeClassifier
from bayesridge.datasets import load_xy

BLUE, ORANGE, GREEN, PINK, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "0.55"


def ridge(X, y, lam):
    """Ridge by the normal equations."""
    return np.linalg.solve(X.T @ X + lam * np.eye(X.shape[1]), X.T @ y)


# %% [markdown]
# ## A bound on a step: trust region and Levenberg-Marquardt
#
# NIST's problem Misra1a: $y = b_1(1 - e^{-b_2 x})$, fourteen measurements, a poor start. The model is linear only
# nearby, so a step p that minimises $|r + Jp|^2$ is held back: by a *damping* $\lambda|p|^2$ (Levenberg-Marquardt), or
# by a *radius* $|p| \le \Delta$ (trust region).

# %%
volume = np.array([10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78])
pressure = np.array([77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0])
UNIT = np.array([250.0, 5e-4])  # theta is b in these units


def residual(theta):
    return theta[0] * UNIT[0] * -np.expm1(-theta[1] * UNIT[1] * pressure) - volume


def jacobian(theta):
    grown = np.exp(-theta[1] * UNIT[1] * pressure)
    return np.column_stack([UNIT[0] * (1 - grown), theta[0] * UNIT[0] * UNIT[1] * pressure * grown])


start = np.array([500.0, 1e-4]) / UNIT  # the first of NIST's
r, J = residual(start), jacobian(start)
damping = 3000.0
damped = BayesRidge(method="fixed", lam=damping, fit_intercept=False, scale=False).fit(J, -r).coef_
radius = np.linalg.norm(damped)
bounded = minimize(
    lambda p: np.sum((r + J @ p) ** 2),
    np.full(2, 0.1),
    jac=lambda p: 2 * J.T @ (r + J @ p),
    method="SLSQP",
    constraints={"type": "ineq", "fun": lambda p: radius**2 - p @ p},
    options={"ftol": 1e-14},
).x
found = brentq(lambda u: np.linalg.norm(ridge(J, -r, np.exp(u))) - radius, -10, 20)
print(f"damping {damping:g}: step {damped}, radius {radius:.4f}")
print(f"radius {radius:.4f}: step {bounded}, damping {np.exp(found):.1f}")


# %%
def levenberg_marquardt(theta, lam, tries=100):
    """Ridge steps; lambda falls after a step that helped, and rises after one that did not."""
    path = [theta]
    for _ in range(tries):
        r, J = residual(theta), jacobian(theta)
        new = theta + ridge(J, -r, lam)
        if np.sum(residual(new) ** 2) < np.sum(r**2):
            theta, lam = new, lam / 10
            path.append(theta)
        else:
            lam *= 4
    return np.array(path)


path = levenberg_marquardt(start, 1e4)
scipys = least_squares(residual, start, jacobian, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
certified = np.array([2.3894212918e02, 5.5015643181e-04])
print("ours ", path[-1] * UNIT)
print("scipy", scipys.x * UNIT)
print("NIST ", certified)

# %% tags=["hide-input"]
full = ridge(J, -r, 0.0)
curve = np.array([ridge(J, -r, lam) for lam in np.geomspace(1e-3, 1e9, 200)]) + start
one, two = np.meshgrid(np.linspace(0.5, 3.2, 160), np.linspace(-0.3, 1.3, 160))
model = np.array([[np.sum((r + J @ (np.array([a, b]) - start)) ** 2) for a, b in zip(*row, strict=True)]
                  for row in zip(one, two, strict=True)])  # fmt: skip
fig, ax = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
ax.contour(one, two, np.log(model), levels=12, colors="0.7", linewidths=0.6)
turn = np.linspace(0, 2 * np.pi, 200)
ax.plot(start[0] + radius * np.cos(turn), start[1] + radius * np.sin(turn), color=ORANGE, ls="--", label="radius")
ax.plot(*curve.T, color=BLUE, label="ridge steps, all dampings")
ax.plot(*(start + damped), "o", color=BLUE, label=f"damping {damping:g}")
ax.plot(*path.T, ".-", color=GREEN, lw=0.8, label="Levenberg-Marquardt's way")
ax.plot(*(certified / UNIT), "*", ms=11, color="black", label="certified minimum")
ax.set(xlabel=r"$b_1$ / 250", ylabel=r"$b_2$ / 0.0005", xlim=(0.5, 3.2), ylim=(-0.3, 1.3), aspect="equal")
ax.legend(fontsize=8, loc="upper right")
plt.show()

# %% [markdown]
# The grey contours are of the linearised sum of squares. Where the circle touches one of them lies the ridge step:
# every radius has its damping, the multiplier of the bound.
#
# ## Noise in training
#
# Fresh noise of sd s on every input, at every pass: in expectation $|y - (X + N)b|^2$ is $|y - Xb|^2 + ns^2|b|^2$. On
# standardised columns the same holds for weights multiplied by $1 + N$ and for inputs dropped with probability
# $p = s^2/(1 + s^2)$ (the others enlarged by $1/(1 - p)$). Noise *added* to weights only adds a constant.

# %%
X, y = load_xy("diabetes")
n = len(y)
Z, target = StandardScaler().fit_transform(X), np.asarray(y - y.mean())
lam = BayesRidge().fit(X, y).lambda_
s2 = lam / n
p = s2 / (1 + s2)
rng = np.random.default_rng(12)
NOISES = {
    "input + noise": lambda: Z + np.sqrt(s2) * rng.standard_normal(Z.shape),
    "weight x (1 + noise)": lambda: Z * (1 + np.sqrt(s2) * rng.standard_normal(Z.shape)),
    "dropout": lambda: Z * (rng.random(Z.shape) >= p) / (1 - p),
}
exact, least = ridge(Z, target, lam), ridge(Z, target, 0.0)
copies = np.unique(np.geomspace(1, 3000, 25).astype(int))
away = {}
for name, noisy in NOISES.items():
    square, product, away[name] = 0.0, 0.0, []
    for k in range(1, copies[-1] + 1):  # least squares on k noisy copies of the table
        copy = noisy()
        square, product = square + copy.T @ copy, product + copy.T @ target
        if k in copies:
            away[name].append(np.linalg.norm(np.linalg.solve(square, product) - exact) / np.linalg.norm(least - exact))
print(f"lambda {lam:.1f}: noise of sd {np.sqrt(s2):.3f} on the inputs, or dropping {100 * p:.1f}% of them")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7.0, 3.2), layout="constrained")
for (name, values), color, style in zip(away.items(), (BLUE, ORANGE, GREEN), ("-", "--", ":"), strict=True):
    ax.plot(copies, values, color=color, ls=style, label=name)
ax.set(xscale="log", yscale="log", xlabel="noisy copies of the table", ylabel="distance from ridge\n(least squares: 1)")
ax.legend()
plt.show()

# %% [markdown]
# ## A device that leaks
#
# Weights kept as the conductances of memristors move by pulses. A pulse up moves w by $\delta(1 - w)$, one down by
# $-\delta(1 + w)$: the nearer to its end of range, the less. Pulses of random sign cancel, but not quite: what is left
# is $-\delta w$ a pulse, a decay. Training sends pulses as often as the gradient g is large, and so every weight is
# pulled to zero in proportion to itself and to E|g|: the device has a lambda, $n\,E|g|/2$, that nobody set.

# %%
DELTA = 0.002


def pulse(w, sign):
    return w + DELTA * (sign - np.abs(sign) * w)


chips = np.full((300, 1), 0.8)
idle = [0.8]
for _ in range(1500):
    chips = pulse(chips, rng.choice([-1.0, 1.0], chips.shape))
    idle.append(chips.mean())
factor = (idle[-1] / 0.8) ** (1 / 1500)
print(f"random pulses: factor {factor:.5f} a pulse")

A = StandardScaler().fit_transform(rng.standard_normal((200, 8)))
b = A @ np.linspace(-0.7, 0.7, 8) + 0.5 * rng.standard_normal(200)
b = b - b.mean()
w, total, typical, kept = np.zeros((60, 8)), 0.0, 0.0, 0
for step in range(6000):
    rows = rng.integers(0, 200, 60)  # each of 60 chips looks at a row of its own
    slope = -2.0 * A[rows] * (b[rows] - np.sum(A[rows] * w, axis=1))[:, None]
    w = pulse(w, -np.sign(slope) * rng.poisson(np.abs(slope)))
    if step >= 2000:
        total, typical, kept = total + w.mean(axis=0), typical + np.abs(slope).mean(axis=0), kept + 1
device, foreseen = total / kept, 100.0 * typical / kept
got = A.T @ (b - A @ device) / device
print("lambda foreseen by column", np.round(foreseen))
print("lambda it has           ", np.round(got))

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.5), layout="constrained")
left.plot(idle, color=BLUE, label="mean of 300 devices")
left.plot(0.8 * (1 - DELTA) ** np.arange(1501), color=ORANGE, ls="--", label=r"$0.8\,(1 - \delta)^k$")
left.set(xlabel="random pulses", ylabel="weight", ylim=(0, None))
left.legend()
with_lam = np.linalg.solve(A.T @ A + np.diag(foreseen), A.T @ b)
right.axline((0, 0), slope=1, color=GREY, lw=0.8)
right.plot(ridge(A, b, 0.0), device, "x", color=ORANGE, label="against least squares")
right.plot(with_lam, device, "o", color=BLUE, label="against ridge, lambda foreseen")
right.set(xlabel="computed", ylabel="where the devices ended")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## A margin
#
# A support vector machine asks for a wide street between two classes; its width is $2/|b|$, so that wide means small
# weights. With $\lambda = 1/C$ it minimises $\sum\text{loss} + \tfrac{\lambda}{2}|b|^2$ like logistic ridge and the
# ridge classifier; only the loss differs: hinge, logistic, half a square.

# %%
table, state = load_breast_cancer(as_frame=True, return_X_y=True)
cells = StandardScaler().fit_transform(table[["worst texture", "worst concave points"]])
sign = np.where(state == 0, 1, -1)  # malignant is 1
known = rng.permutation(len(sign)) < 150
cells, sign = cells[known], sign[known]
lams = np.geomspace(1e-3, 1e4, 22)
MAKE = {
    "SVM, C = 1/lambda": lambda lam: SVC(kernel="linear", C=1 / lam),
    "logistic ridge, C = 1/lambda": lambda lam: LogisticRegression(C=1 / lam),
    "ridge classifier, alpha = lambda": lambda lam: RidgeClassifier(alpha=lam),
}
fits = {name: [make(lam).fit(cells, sign) for lam in lams] for name, make in MAKE.items()}
width = {name: np.array([2 / np.linalg.norm(fit.coef_) for fit in made]) for name, made in fits.items()}
post = BayesRidgeClassifier(scale=False).fit(cells, sign).posterior_
low, high = post.lambda_.interval(0.95)
print(f"logistic: lambda {post.lambda_.median:.2g} (95% ETI {low:.2g} to {high:.2g}), C {1 / post.lambda_.median:.2g}")

# %% tags=["hide-input"]
LOOK = dict(zip(MAKE, ((BLUE, "-"), (ORANGE, "--"), (GREEN, ":")), strict=True))
fig, axes = plt.subplots(1, 3, figsize=(11, 3.7), layout="constrained")
for ax, lam_shown in zip(axes, (0.1, 100.0), strict=False):
    ax.scatter(*cells.T, s=8, c=np.where(sign > 0, PINK, GREY))
    across = np.array([-2.5, 3.5])
    for name, (color, style) in LOOK.items():
        fit = MAKE[name](lam_shown).fit(cells, sign)
        (c1, c2), c0 = fit.coef_.ravel(), float(np.ravel(fit.intercept_)[0])
        ax.plot(across, -(c0 + c1 * across) / c2, color=color, ls=style, lw=1.6)
        for edge in (-1, 1) if name.startswith("SVM") else ():
            ax.plot(across, (edge - c0 - c1 * across) / c2, color=color, lw=0.7)
    ax.set(title=f"$\\lambda$ = {lam_shown:g}", xlabel="worst texture", ylabel="worst concave points", ylim=(-3, 4))
for name, (color, style) in LOOK.items():
    axes[2].plot(lams, width[name], color=color, ls=style, label=name)
axes[2].axvspan(low, high, color=ORANGE, alpha=0.15, lw=0)
axes[2].set(
    xscale="log", yscale="log", xlabel=r"$\lambda$ (band: posterior, logistic)", ylabel="width of the street, 2/|b|"
)
axes[2].legend(fontsize=7.5)
plt.show()

# %% [markdown]
# Three losses, three scales: the same lambda means a different shrinkage in each, and only one of them is minus a log
# likelihood. That one has a posterior, and an answer to "which C?".

# %%
np.testing.assert_allclose(damped, bounded, rtol=1e-4)
np.testing.assert_allclose(np.exp(found), damping, rtol=1e-8)
np.testing.assert_allclose(path[-1] * UNIT, certified, rtol=1e-8)
np.testing.assert_allclose(scipys.x * UNIT, certified, rtol=1e-8)
assert 0.02 < p < 0.04
assert all(values[-1] < 0.1 for values in away.values())
assert abs(factor - (1 - DELTA)) < 3e-4
np.testing.assert_allclose(got, foreseen, rtol=0.06)
assert np.abs(with_lam - device).max() < 0.02 < np.abs(ridge(A, b, 0.0) - device).max()
for values in width.values():
    assert (np.diff(values) > -1e-3 * values[:-1]).all()  # more lambda, wider street
assert low < high

# %% [markdown]
# ## To try
#
# Halve DELTA, which makes the pulses finer and training twice as slow. Does the lambda of the device change?
#
# **To remember:** whatever pulls weights to zero in proportion to their size is a ridge, whether it is written as a
# penalty, a bound, a noise or a flaw of the hardware, and its lambda can be computed.
