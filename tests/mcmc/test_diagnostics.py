"""Verdicts on chains whose fault is known."""

import numpy as np
import pytest
import xarray as xr

from bayesridge.mcmc.diagnostics import diagnose

DIMS = ("chain", "draw")


def chains(seed=0, n=1000, shift=(0.0, 0.0, 0.0, 0.0), memory=0.0, p=3):
    """AR(1) chains of a vector, with given means of the last component."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((4, n, p))
    for t in range(1, n):
        x[:, t] = memory * x[:, t - 1] + np.sqrt(1.0 - memory**2) * x[:, t]
    x[..., -1] += np.array(shift)[:, None]
    coords = {"feature": ["a", "b", "c"][:p]}
    return xr.Dataset(
        {"coef": ((*DIMS, "feature"), x), "sigma": (DIMS, np.exp(x[..., 0])), "fixed": (DIMS, np.ones((4, n)))}, coords
    )


def record(**values):
    return xr.Dataset({name: (DIMS, value) for name, value in values.items()})


def good_record(n=1000):
    energy = np.random.default_rng(1).standard_normal((4, n))
    none = np.zeros((4, n), dtype=bool)
    return {"diverging": none, "energy": energy, "reached_max_treedepth": none}


def test_good_chains():
    table = diagnose(chains(), record(**good_record()))
    assert list(table.index) == ["R-hat", "ESS bulk", "ESS tail", "divergences", "at maximum tree depth", "BFMI"]
    assert (table["verdict"] == "ok").all()
    assert (table["remedy"] == "").all()
    assert table.attrs["verdict"] == "ok"


@pytest.mark.parametrize(("shift", "verdict"), [(0.35, "doubtful"), (2.0, "bad")])
def test_chains_that_disagree(shift, verdict):
    table = diagnose(chains(shift=(0, 0, 0, shift)), None)
    assert table.loc["R-hat", "where"] == "coef[c]"
    assert table.loc["R-hat", "verdict"] == verdict
    assert "method='posterior'" in table.loc["R-hat", "remedy"]
    assert table.attrs["verdict"] == verdict


@pytest.mark.parametrize(("memory", "verdict"), [(0.9, "doubtful"), (0.995, "bad")])
def test_slow_chains(memory, verdict):
    # the effective number of draws of an AR(1) is n (1 - memory) / (1 + memory): 210 and 10 of 4000
    table = diagnose(chains(memory=memory), None)
    assert table.loc["ESS bulk", "verdict"] == verdict
    assert table.loc["ESS bulk", "value"] == pytest.approx(4000 * (1 - memory) / (1 + memory), rel=0.8)


def test_tail_ess_is_that_of_the_quantiles_named():
    import arviz as az

    posterior = chains(memory=0.95)
    values = posterior["sigma"].values
    ess = [float(az.ess((values <= np.quantile(values, q)).astype(float), method="mean")) for q in (0.05, 0.95)]
    found = diagnose(posterior[["sigma"]], None).loc["ESS tail", "value"]
    assert found == pytest.approx(min(ess), rel=1e-6)


def test_divergences_tree_depth_and_energy():
    stats = good_record()
    few, many, deep = (np.zeros((4, 1000), dtype=bool) for _ in range(3))
    few[2, 17] = True
    many[:, :20] = True
    deep[:, ::10] = True
    posterior = chains()
    assert diagnose(posterior, record(**(stats | {"diverging": few}))).loc["divergences", "verdict"] == "doubtful"
    assert diagnose(posterior, record(**(stats | {"diverging": many}))).loc["divergences", "verdict"] == "bad"
    found = diagnose(posterior, record(**(stats | {"reached_max_treedepth": deep}))).loc["at maximum tree depth"]
    assert found["value"] == pytest.approx(0.1)
    assert found["verdict"] == "doubtful"
    # an energy that moves by a twentieth of its sd a step has BFMI 0.05^2 / 1
    slow = np.cumsum(np.random.default_rng(0).standard_normal((4, 1000)), axis=1)
    found = diagnose(posterior, record(**(stats | {"energy": slow}))).loc["BFMI"]
    assert found["verdict"] == "bad"
    assert "centred=False" in found["remedy"]


def test_one_chain_and_an_interrupt_are_told():
    table = diagnose(chains().isel(chain=[0]), None, missing="4 x 1000")
    assert "chains=4" in table.loc["R-hat", "remedy"]
    assert table.loc["draws kept", "value"] == 1000
    assert table.loc["draws kept", "limit"] == "4 x 1000"
    assert "interrupted" in table.loc["draws kept", "remedy"]
    assert "draws kept" not in diagnose(chains(), None).index
    assert table.attrs["verdict"] == "doubtful"
