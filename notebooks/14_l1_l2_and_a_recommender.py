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
# # 14 L1, L2, and a recommender
#
# **Guess first.** Two columns say nearly the same (correlation 0.98), and the target is their sum. Lasso, elastic net
# and ridge are fitted to 200 samples of 30 rows. In how many does the lasso leave one of the two out? And ridge?
#
# What the shape of a penalty does, and what a lambda learned from the data is worth in a table with few of its cells.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from scipy import sparse
from sklearn.linear_model import ElasticNet

from bayesridge import BayesRidge

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "0.55"
SHARES = {"L1 (lasso)": 1.0, "both (elastic net)": 0.5, "L2 (ridge)": 0.0}
LOOK = dict(zip(SHARES, (ORANGE, GREEN, BLUE), strict=True))

# %% [markdown]
# ## A corner, or none
#
# The same sum of squares, under three bounds. Where the contours touch a corner, a coefficient is exactly zero. A
# circle has no corner.

# %%
top = np.array([1.0, 0.25])
shape = np.array([[1.0, 0.3], [0.3, 1.0]])


def bound(b, share):
    return share * np.abs(b).sum(axis=-1) + (1 - share) * (b**2).sum(axis=-1)


turn = np.linspace(0, 2 * np.pi, 2001)[:-1]
around = np.column_stack([np.cos(turn), np.sin(turn)])


def edge(share, size=0.5):
    """The points where the bound is `size`: along each direction the root of a quadratic."""
    one, two = share * np.abs(around).sum(axis=1), 1 - share
    return around * (2 * size / (one + np.sqrt(one**2 + 4 * two * size)))[:, None]


def squares(b):
    return np.einsum("...i,ij,...j", b - top, shape, b - top)


touches = {name: min(edge(share), key=squares) for name, share in SHARES.items()}

# %% tags=["hide-input"]
first, second = np.meshgrid(np.linspace(-1, 1.6, 150), np.linspace(-1, 1.1, 150))
fig, axes = plt.subplots(1, 3, figsize=(10, 3.1), layout="constrained", sharey=True)
for ax, (name, share) in zip(axes, SHARES.items(), strict=True):
    level = squares(np.stack([first, second], axis=-1))
    ax.contour(
        first, second, level, levels=sorted([0.05, squares(touches[name]), 0.9, 1.8]), colors="0.7", linewidths=0.8
    )
    ax.fill(*edge(share).T, color=LOOK[name], alpha=0.25, lw=0)
    ax.plot(*touches[name], "o", color=LOOK[name])
    ax.plot(*top, "+", color="black")
    ax.set(title=f"{name}: ({touches[name][0]:.2f}, {abs(touches[name][1]):.2f})", aspect="equal", xlabel="first")
axes[0].set_ylabel("second coefficient")
plt.show()

# %% [markdown]
# ## Two columns that say the same

# %%
rng = np.random.default_rng(14)
pairs = {name: np.zeros((200, 2)) for name in SHARES}
for sample in range(200):
    shared = rng.standard_normal(30)
    X = 0.99 * shared[:, None] + np.sqrt(1 - 0.99**2) * rng.standard_normal((30, 2))
    y = X.sum(axis=1) + rng.standard_normal(30)
    for name, share in SHARES.items():
        if share:
            pairs[name][sample] = ElasticNet(alpha=0.3, l1_ratio=share, fit_intercept=False).fit(X, y).coef_
        else:  # alpha is lambda / n
            pairs[name][sample] = np.linalg.solve(X.T @ X + 0.3 * 30 * np.eye(2), X.T @ y)
alone = {name: int((np.abs(found) < 1e-9).any(axis=1).sum()) for name, found in pairs.items()}
print("one of the two left out, of 200:", alone)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
for (name, found), marker in zip(pairs.items(), "o^s", strict=True):
    ax.plot(*found.T, marker, ms=3.5, alpha=0.7, color=LOOK[name], label=name)
ax.plot(1, 1, "+", ms=12, color="black", label="truth")
ax.set(xlabel="first coefficient", ylabel="second coefficient", aspect="equal")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# The lasso chooses, and another sample would choose otherwise: what it leaves out is not thereby found to be nothing.
# Ridge gives both the same share.
#
# ## Zeros with an interval: the horseshoe
#
# A prior that expects many near-zeros and a few large coefficients sets none to zero either, but it has a posterior.
# 80 tables of 40 rows, twelve columns, three of which matter; a Gibbs sampler for all of them at once
# (notebook 05 has the model in PyMC).

# %%
TABLES, ROWS, COLUMNS = 80, 40, 12
truth = np.zeros(COLUMNS)
truth[:3] = [1.5, -1.0, 0.6]
A = rng.standard_normal((TABLES, ROWS, COLUMNS))
t = A @ truth + rng.standard_normal((TABLES, ROWS))
A, t = A - A.mean(axis=1, keepdims=True), t - t.mean(axis=1, keepdims=True)


def horseshoe(A, t, sweeps=900, burn=200):
    """Draws of the coefficients of every table: b_j ~ N(0, (sigma tau l_j)²), half-Cauchy tau and l_j (as mixtures)."""

    def inverse_gamma(shape, scale):
        return scale / rng.gamma(shape, size=np.shape(scale))

    square, product = np.einsum("kni,knj->kij", A, A), np.einsum("kni,kn->ki", A, t)
    local, tau, sigma = np.ones(product.shape), np.ones((len(A), 1)), np.ones((len(A), 1))
    nu, xi, kept = local.copy(), tau.copy(), []
    for sweep in range(sweeps):
        precision = square + np.eye(A.shape[2]) / (tau * local)[:, None, :]
        root = np.linalg.cholesky(precision)
        noise = np.linalg.solve(root.transpose(0, 2, 1), rng.standard_normal((*product.shape, 1)))[..., 0]
        b = np.linalg.solve(precision, product[..., None])[..., 0] + np.sqrt(sigma) * noise
        rest = np.sum((t - np.einsum("kni,ki->kn", A, b)) ** 2, axis=1, keepdims=True)
        sigma = inverse_gamma(
            (A.shape[1] - 1 + A.shape[2]) / 2, (rest + (b**2 / (tau * local)).sum(1, keepdims=True)) / 2
        )
        local = inverse_gamma(1.0, 1 / nu + b**2 / (2 * tau * sigma))
        nu = inverse_gamma(1.0, 1 + 1 / local)
        tau = inverse_gamma((A.shape[2] + 1) / 2, 1 / xi + (b**2 / local).sum(1, keepdims=True) / (2 * sigma))
        xi = inverse_gamma(1.0, 1 + 1 / tau)
        if sweep >= burn:
            kept.append(b)
    return np.array(kept)


intervals = {"horseshoe": np.quantile(horseshoe(A, t), [0.025, 0.975], axis=0).transpose(1, 2, 0)}
intervals["ridge"] = np.array(
    [BayesRidge().fit(A[k], t[k]).posterior_.coefficients.interval(0.95) for k in range(TABLES)]
)
covers = {name: (ends[..., 0] < truth) & (truth < ends[..., 1]) for name, ends in intervals.items()}
for name, ends in intervals.items():
    long = np.diff(ends)[..., 0]
    for which, part in (("the three", slice(3)), ("the nothings", slice(3, None))):
        print(f"{name:10}{which:13} held {covers[name][:, part].mean():.1%}, mean length {long[:, part].mean():.2f}")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7.5, 3.0), layout="constrained")
for shift, (name, color) in zip((-0.15, 0.15), (("ridge", BLUE), ("horseshoe", ORANGE)), strict=True):
    low, high = np.median(intervals[name], axis=0).T
    ax.vlines(np.arange(COLUMNS) + shift, low, high, color=color, lw=3, label=f"{name}, typical 95% ETI")
ax.plot(np.arange(COLUMNS), truth, "_", ms=14, color="black", label="truth")
ax.set(xlabel="column", ylabel="coefficient", xticks=range(COLUMNS))
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## A recommender
#
# 100 users, 70 films, one cell in three known; few users rate much, a few films are rated by many. A rating is a mean,
# how mild the user is, how good the film is, and a product of two tastes: $y_{ui} = m + a_u + c_i + p_u'q_i + e$. With
# the films held fixed this is a linear regression for $(p_u, a_u)$ of all users, with one penalty: a ridge, and its
# lambda by the evidence. Then the users are held fixed, and so in turn. Nobody chooses a lambda.

# %%
USERS, FILMS, TASTES = 100, 70, 2
p, q = rng.normal(0, 0.7, (USERS, TASTES)), rng.normal(0, 0.7, (FILMS, TASTES))
mild, good = 0.4 * rng.standard_normal(USERS), 0.4 * rng.standard_normal(FILMS)
often = np.outer(rng.lognormal(0, 0.8, USERS), rng.lognormal(0, 0.8, FILMS)).ravel()
user, film = np.divmod(rng.choice(USERS * FILMS, 2300, replace=False, p=often / often.sum()), FILMS)
clean = 3.5 + mild[user] + good[film] + np.sum(p[user] * q[film], axis=1)
rating = np.clip(np.round(2 * (clean + 0.7 * rng.standard_normal(len(user)))) / 2, 0.5, 5.0)
known = rng.random(len(rating)) < 0.8
known[np.unique(user, return_index=True)[1]] = True  # each user and each film once
known[np.unique(film, return_index=True)[1]] = True
y = rating - rating[known].mean()


def side_by_side(factors, who, other, count):
    """One block of columns for each of `who`: the factors of what it was crossed with."""
    width = factors.shape[1]
    rows = np.repeat(np.arange(len(who)), width)
    columns = (who[:, None] * width + np.arange(width)).ravel()
    return sparse.csr_array((factors[other].ravel(), (rows, columns)), shape=(len(who), count * width))


def by_evidence(X, y):
    fit = BayesRidge(method="evidence", fit_intercept=False, scale=False).fit(X, y)
    return fit.coef_, fit.lambda_


def by_value(lam):
    def solve(X, y):
        return sparse.linalg.spsolve(sparse.csc_array(X.T @ X + lam * sparse.eye_array(X.shape[1])), X.T @ y), lam

    return solve


def alternate(solve, turns=8):
    """Ridge for users, ridge for films, and again; the error on the ratings held out, and the lambdas."""
    films = np.column_stack([np.random.default_rng(0).normal(0, 0.3, (FILMS, TASTES)), np.zeros(FILMS)])
    found = []
    for _ in range(turns):
        with_one = np.column_stack([films[:, :TASTES], np.ones(FILMS)])
        b, lam_users = solve(side_by_side(with_one, user[known], film[known], USERS), (y - films[film, -1])[known])
        users = b.reshape(USERS, -1)
        with_one = np.column_stack([users[:, :TASTES], np.ones(USERS)])
        b, lam_films = solve(side_by_side(with_one, film[known], user[known], FILMS), (y - users[user, -1])[known])
        films = b.reshape(FILMS, -1)
        found.append((lam_users, lam_films))
    said = np.sum(users[user, :TASTES] * films[film, :TASTES], axis=1) + users[user, -1] + films[film, -1]
    return np.sqrt(np.mean((y - said)[~known] ** 2)), found


# %%
learned, lams = alternate(by_evidence)
grid = np.geomspace(0.1, 30, 9)
errors = np.array([alternate(by_value(lam))[0] for lam in grid])
plain = y[~known].std()
for turn, (lam_users, lam_films) in enumerate(lams):
    print(f"turn {turn + 1}: lambda of users {lam_users:.2f}, of films {lam_films:.2f}")
print(f"held-out error (stars, rms): evidence {learned:.3f}, best of the grid {errors.min():.3f}, the mean {plain:.3f}")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
ax.plot(grid, errors, "o-", color=ORANGE, label="one lambda for all half-steps")
ax.axhline(learned, color=BLUE, label="lambda of each half-step by its evidence")
ax.axhline(plain, color=GREY, ls=":", label="the mean rating")
ax.set(xscale="log", xlabel=r"$\lambda$", ylabel="held-out error (stars, rms)")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# The evidence ends within two percent of the best that held-out ratings could have chosen, with two lambdas that a grid
# would have to search together, and it has not seen those ratings.

# %%
assert abs(touches["L1 (lasso)"][1]) < 1e-9 < 0.05 < touches["L2 (ridge)"][1]
assert alone["L2 (ridge)"] == 0
assert alone["L1 (lasso)"] > 50
np.testing.assert_allclose(pairs["L2 (ridge)"].mean(axis=0), pairs["L2 (ridge)"].mean(), rtol=0.05)  # equal shares
for name, share in covers.items():
    assert share[:, 3:].mean() > 0.93, name
    assert share[:, :3].mean() > 0.85, name  # both shrink: what is large at a fixed truth is held less often
assert np.diff(intervals["horseshoe"])[:, 3:].mean() < 0.85 * np.diff(intervals["ridge"])[:, 3:].mean()
assert learned < 0.85 * plain
assert learned < 1.03 * errors.min()

# %% [markdown]
# ## To try
#
# Each half-step takes the other side as known. Draw the coefficients (`post.draw`) instead of maximising, average the
# predictions of many turns, and the alternation is a Gibbs sampler. Does the held-out error reach the best of the grid?
#
# **To remember:** L1 chooses, L2 shares, and how strongly is written in the data.
