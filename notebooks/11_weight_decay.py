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
# # 11 Weight decay
#
# **Guess first.** Each step of an optimiser multiplies a weight by 0.998. After how many steps is half of it gone? And
# if data pull it towards 1 in the same steps, where does it end?
#
# Whoever trains networks calls the L2 penalty *weight decay*. With which optimisers is it ridge, and what is lambda?

# %% tags=["hide-input"]
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from scipy.optimize import least_squares
from sklearn.preprocessing import StandardScaler

from bayesridge import BayesRidge, translate
from bayesridge.datasets import load_xy

jax.config.update("jax_enable_x64", True)
BLUE, ORANGE, GREEN, PINK, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "0.55"

# %% [markdown]
# ## One weight
#
# The penalty $\lambda w^2$ has the gradient $2\lambda w$. A step of size $a$ down that gradient is
# $w \to (1 - 2a\lambda)w$: the weight decays. Beside the loss $(w - 1)^2$ it ends where the two gradients cancel.

# %%
a, lam = 0.01, 0.1
factor = 1 - 2 * a * lam
steps = np.arange(1201)
alone = factor**steps
pulled = np.zeros(len(steps))
for k in steps[1:]:
    pulled[k] = pulled[k - 1] - a * (2 * (pulled[k - 1] - 1) + 2 * lam * pulled[k - 1])
half_life = np.log(0.5) / np.log(factor)
print(f"factor {factor}, half of it gone after {half_life:.0f} steps; beside the data it ends at {pulled[-1]:.4f}")

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7.5, 3.0), layout="constrained")
ax.plot(steps, alone, color=ORANGE, label="no data: 0.998 a step")
ax.plot(steps, pulled, color=BLUE, ls="--", label="data at 1")
ax.axhline(1 / (1 + lam), color=GREY, ls=":", lw=1.2)
ax.annotate(r"$1/(1+\lambda)$, ridge", (1200, 1 / (1 + lam)), xytext=(0, -12), textcoords="offset points", ha="right")
ax.set(xlabel="steps", ylabel="weight")
ax.legend(loc="center right")
plt.show()

# %% [markdown]
# ## SGD with decay meets ridge
#
# 442 patients, ten columns. The loss is the *mean* squared error, as in every deep-learning library, so lambda stands
# divided by n: `weight_decay` is $2\lambda/n$. Nobody has to try values: the posterior of lambda is known, and the
# rest is translation.

# %%
X, y = load_xy("diabetes")
n = len(y)
scaler = StandardScaler().fit(X)
Z, target = scaler.transform(X), np.asarray(y - y.mean())
fit = BayesRidge().fit(X, y)
low, high = fit.posterior_.lambda_.interval(0.95)
decay = translate.from_lambda(fit.lambda_, "torch.optim.SGD", n=n)
fewest, most = [translate.from_lambda(one, "torch.optim.SGD", n=n) for one in (low, high)]
print(f"lambda {fit.lambda_:.1f} (95% ETI {low:.1f} to {high:.1f})")
print(f"weight_decay {decay:.3f} ({fewest:.3f} to {most:.3f})")


# %% tags=["hide-input"]
def train(optimiser, Z, target, steps, batch, seed=0):
    """Minimise the mean squared error by batches of random rows; the weights after each step."""
    Z, target = jnp.asarray(Z), jnp.asarray(target)

    def step(carry, key):
        w, state = carry
        rows = jax.random.randint(key, (batch,), 0, len(target)) if batch else slice(None)
        slope = jax.grad(lambda v: jnp.mean((target[rows] - Z[rows] @ v) ** 2))(w)
        change, state = optimiser.update(slope, state, w)
        return (w + change, state), w + change

    start = jnp.zeros(Z.shape[1])
    keys = jax.random.split(jax.random.key(seed), steps)
    return np.asarray(jax.lax.scan(step, (start, optimiser.init(start)), keys)[1])


def ridge(Z, target, lam):
    """Ridge by the normal equations."""
    return np.linalg.solve(Z.T @ Z + lam * np.eye(Z.shape[1]), Z.T @ target)


# %%
def falling(step):
    return 0.1 / (1 + step / 300)


sgd = train(optax.chain(optax.add_decayed_weights(decay), optax.sgd(falling)), Z, target, 20_000, 16)
exact = ridge(Z, target, fit.lambda_)
least = ridge(Z, target, 0.0)
print("SGD  ", np.round(sgd[10_000:].mean(axis=0), 1))
print("ridge", np.round(exact, 1))

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(7.5, 3.4), layout="constrained")
shown = np.unique(np.geomspace(1, len(sgd), 250).astype(int)) - 1
ax.plot(shown + 1, sgd[shown], color=BLUE, lw=0.9)
ax.plot(np.full(10, 1.35 * len(sgd)), exact, "o", ms=5, color=ORANGE, clip_on=False)
ax.annotate(
    "ridge", (1.35 * len(sgd), exact.max()), xytext=(0, 8), textcoords="offset points", ha="center", color=ORANGE
)
ax.set(xscale="log", xlabel="steps of SGD with decay", ylabel="weights (standardised columns)")
plt.show()

# %% [markdown]
# ## Stopping early is a leash too
#
# No penalty at all, but small steps from zero, stopped at time t. In each singular direction ridge keeps the share
# $s^2/(s^2+\lambda)$ of the least-squares value, the flow $1 - e^{-s^2 t}$. With $t = 1/\lambda$ the two differ
# by 0.21 at most, and after learning from 30 patients they predict the others about equally well at their best. But a
# time has no prior, hence no posterior.

# %%
lams = np.geomspace(1e-2, 1e4, 61)
rng = np.random.default_rng(11)
splits = [rng.permutation(n) for _ in range(40)]


def held_out(shares):
    """Root mean squared error of the patients held out for each lambda = 1/t, over 40 splits."""
    error = np.zeros(len(lams))
    for rows in splits:
        known, new = rows[:30], rows[30:]
        middle, level = Z[known].mean(axis=0), target[known].mean()
        u, d, vt = np.linalg.svd(Z[known] - middle, full_matrices=False)
        b = vt.T @ (shares(d[:, None] ** 2) * (u.T @ (target[known] - level) / d)[:, None])
        error += np.mean((target[new, None] - level - (Z[new] - middle) @ b) ** 2, axis=0)
    return np.sqrt(error / len(splits))


by_ridge = held_out(lambda s2: s2 / (s2 + lams))
by_flow = held_out(lambda s2: -np.expm1(-s2 / lams))
ratio = np.geomspace(1e-2, 1e2, 400)  # s² / lambda
apart = np.abs(-np.expm1(-ratio) - ratio / (1 + ratio)).max()
print(f"largest difference of the factors {apart:.3f}; best errors {by_ridge.min():.2f} and {by_flow.min():.2f}")

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
left.plot(ratio, ratio / (1 + ratio), color=BLUE, label="ridge")
left.plot(ratio, -np.expm1(-ratio), color=ORANGE, ls="--", label="gradient flow, stopped")
left.set(xscale="log", xlabel=r"$s^2/\lambda = s^2 t$", ylabel="share kept")
left.legend()
right.plot(lams, by_ridge, color=BLUE)
right.plot(lams, by_flow, color=ORANGE, ls="--")
right.set(xscale="log", xlabel=r"$\lambda = 1/t$", ylim=(None, 80), ylabel="held-out error (rms)")
plt.show()

# %% [markdown]
# ## Adam with L2 is not AdamW
#
# Adam divides each gradient by its own typical size. A penalty inside the loss goes through that division, a decay
# beside it (AdamW) does not. Below: columns whose standard deviations run from 0.3 to 3, and from the weights where an
# optimiser ended, the lambda that each column *got*: what the gradient of the data there is divided by the weight.

# %%
sds = np.geomspace(0.3, 3.0, 8)
A = rng.standard_normal((400, 8)) * sds
signal = A @ (2.0 / sds) + 3.0 * rng.standard_normal(400)
asked = 100.0
number = translate.from_lambda(asked, "torch.optim.SGD", n=400)


def rate(step):
    return 0.05 / (1 + step / 1000)


optimisers = {
    "Adam, L2 in the loss": optax.chain(optax.add_decayed_weights(number), optax.adam(rate)),
    "AdamW": optax.adamw(rate, weight_decay=number),
}
ends = {name: train(one, A, signal, 30_000, 64, seed=1)[-20_000:].mean(axis=0) for name, one in optimisers.items()}
got = {name: A.T @ (signal - A @ w) / w for name, w in ends.items()}
for name, values in got.items():
    print(f"{name:22}lambda by column {np.round(values)}")

# %% tags=["hide-input"]
pull = -2.0 * A * (signal - A @ ends["AdamW"])[:, None]  # the gradient of each row, where AdamW ended
size = np.sqrt(pull.mean(axis=0) ** 2 + pull.var(axis=0) / 64)  # and what Adam divides by
fig, ax = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
for (name, values), color, marker in zip(got.items(), (BLUE, ORANGE), "os", strict=True):
    ax.plot(sds, values, marker, color=color, label=name)
ax.axhline(asked, color=GREY, ls=":", lw=1.2, label="ridge")
ax.plot(sds, asked * size, color=ORANGE, ls="--", lw=1.0, label="ridge x size of the gradient")
ax.set(xscale="log", yscale="log", xlabel="standard deviation of the column", ylabel="lambda it got")
ax.set_xticks([0.3, 1.0, 3.0], ["0.3", "1", "3"])
ax.set_xticks([], minor=True)
ax.legend()
plt.show()

# %% [markdown]
# With the L2 term in the loss Adam ends at ridge. AdamW gives each column a penalty proportional to the noise of its
# gradient, which depends on the batch and on the units of y. It may train well, but its number is no lambda:
# `translate` has no line for it.
#
# ## What decay means for a network
#
# A curve with 30 noisy points and a gap, a network of 8 hidden units, trained with decay. Around its trained weights
# $w^*$ it is nearly linear, $f(w) \approx f(w^*) + J(w - w^*)$: a regression on the Jacobian J, whose ridge solution
# is $w^*$ itself. That is a problem for this package, posterior of lambda included: the *linearised Laplace
# approximation*.

# %%
UNITS = 8
rng = np.random.default_rng(7)
t = np.sort(np.r_[rng.uniform(-2.0, -0.6, 15), rng.uniform(0.5, 2.0, 15)])


def curve(t):
    return np.sin(2.5 * t) + 0.5 * t


heard = curve(t) + 0.15 * rng.standard_normal(30)


def network(w, t):
    """A hidden layer of tanh units, and its Jacobian; the output's bias is the last column."""
    out, slope, shift = w[:-1].reshape(3, UNITS)
    h = np.tanh(np.outer(t, slope) + shift)
    inner = out * (1 - h**2)
    return h @ out + w[-1], np.column_stack([h, inner * t[:, None], inner, np.ones(len(t))])


def trained(lam, w):
    """Minimise |y - f(w)|² + lambda |w|², the bias free."""
    root = np.sqrt(lam) * np.r_[np.ones(len(w) - 1), 0.0]
    return least_squares(
        lambda v: np.r_[heard - network(v, t)[0], root * v],
        w,
        lambda v: np.vstack([-network(v, t)[1], np.diag(root)]),
        xtol=1e-14, ftol=1e-14, gtol=1e-12, max_nfev=2000,
    ).x  # fmt: skip


# %%
net_lam, w = 0.01, rng.standard_normal(3 * UNITS + 1)
for turn in range(6):  # train, read lambda off, train again
    w = trained(net_lam, w)
    f, J = network(w, t)
    linear = BayesRidge(scale=False).fit(J[:, :-1], heard - f + J @ w)
    print(f"trained at lambda {net_lam:.4f}; posterior of the linearised network {linear.lambda_:.4f}")
    if turn < 5:
        net_lam = linear.lambda_
same = BayesRidge(method="fixed", lam=net_lam, scale=False).fit(J[:, :-1], heard - f + J @ w)

# %% tags=["hide-input"]
grid = np.linspace(-2.4, 2.4, 241)
f_grid, J_grid = network(w, grid)
shift = f_grid - J_grid @ w
band = linear.predict_interval(J_grid[:, :-1], of="mean") + shift[:, None]
fig, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
ax.fill_between(grid, *band.T, color=BLUE, alpha=0.25, lw=0, label="95% ETI, lambda integrated")
ax.plot(grid, f_grid, color=BLUE, label="the trained network")
ax.plot(grid, curve(grid), color="black", ls=":", lw=1.2, label="truth")
ax.plot(t, heard, ".", color=GREY)
ax.set(xlabel="t", ylabel="y", ylim=(-3.2, 3.2))
ax.legend(loc="upper left", fontsize=8)
plt.show()
inside = np.mean((band[:, 0] < curve(grid)) & (curve(grid) < band[:, 1]))
print(f"the band holds {100 * inside:.0f}% of the curve")
print(f"effective degrees of freedom {linear.posterior_.effective_dof.median:.1f} of {3 * UNITS} weights")

# %%
assert abs(half_life - 346) < 1
assert abs(factor - 0.998) < 1e-15
np.testing.assert_allclose(pulled[-1], 1 / (1 + lam), rtol=1e-8)
scale_of = np.abs(exact - least).max()  # what the decay moves
assert np.abs(sgd[10_000:].mean(axis=0) - exact).max() < 0.1 * scale_of
assert apart < 0.21
assert abs(by_flow.min() / by_ridge.min() - 1) < 0.02
assert by_ridge.min() < 0.95 * by_ridge[0]
np.testing.assert_allclose(got["Adam, L2 in the loss"], asked, rtol=0.15)
np.testing.assert_allclose(got["AdamW"], asked * size, rtol=0.25)
assert got["AdamW"].max() > 2 * got["AdamW"].min()
np.testing.assert_allclose(same.coef_, w[:-1], rtol=1e-5, atol=1e-6)  # the trained weights are its ridge solution
assert abs(linear.lambda_ / net_lam - 1) < 0.01
assert inside > 0.8

# %% [markdown]
# ## To try
#
# Multiply `signal` by ten, and leave `number` as it is. What becomes of lambda under Adam with L2, and under AdamW?
#
# **To remember:** weight decay is ridge where the step is proportional to the gradient, with lambda = n/2 times its
# number for a mean squared error; an optimiser that rescales gradients makes a rate of it, no penalty.
