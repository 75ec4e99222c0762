"""Saved models: the same numbers after loading, only data in the file, and no damaged file passes for a model."""

import copy
import errno
import hashlib
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayesridge
from bayesridge import (
    BayesRidge,
    BayesRidgeClassifier,
    BetaR2,
    Custom,
    FixedScales,
    HalfT,
    InverseGamma,
    Jeffreys,
    load,
    posterior,
)
from bayesridge.bundle import Bundle, pack, unpack
from bayesridge.design.absent import AbsentRows
from bayesridge.errors import (
    AccuracyWarning,
    BayesRidgeError,
    DataError,
    ModelFileError,
    PriorError,
    RowsAbsentError,
)
from bayesridge.mcmc.diagnostics import diagnose
from bayesridge.mcmc.posterior import SampledPosterior

rng = np.random.default_rng(11)
ROWS = pd.DataFrame(rng.standard_normal((40, 4)) @ rng.standard_normal((4, 4)), columns=["a", "b", "my col", "d"])
ROWS["g"] = rng.choice(["red", "blue", "green"], 40)
ROWS["k"] = rng.choice([1, 2, 3], 40)
ROWS["day"] = pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 3, 40), "D")
ROWS["y"] = 2.0 * ROWS["a"] - ROWS["d"] + rng.standard_normal(40)
X, Y = ROWS[["a", "b", "my col", "d"]], ROWS["y"]
NEW = ROWS.iloc[:5]

CASES = {
    "plain": ({}, {}),
    "evidence": ({"method": "evidence"}, {}),
    "fixed": ({"method": "fixed", "lam": 3.0}, {}),
    "scales": ({"method": "fixed", "prior": FixedScales(1.0, 2.0)}, {}),
    "plane": ({"prior": HalfT(3.0, 2.0, on="tau"), "noise_prior": InverseGamma(2.0, 5.0)}, {}),
    "unpenalized": ({"unpenalized": ["b", "my col"]}, {}),
    "no scale, no intercept": ({"scale": False, "fit_intercept": False}, {}),
    "given scales": ({"scale": np.array([1.0, 2.0, 0.5, 3.0])}, {}),
    "precision weights": ({"weight_kind": "precision"}, {"sample_weight": np.linspace(0.5, 2.0, 40)}),
    "frequency weights": ({}, {"sample_weight": np.arange(40) % 3}),
}


def numbers(post):
    interval = post.lambda_.interval(0.9)
    return [
        post.coefficients.mean, post.coefficients.sd, post.coefficients.interval(0.9), post.intercept.mean,
        [interval.lower, interval.upper, post.sigma.median, post.log_marginal_likelihood],
        post.draw(3, 2, 0).coef,
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [False, True], ids=["", "with rows"])
@pytest.mark.parametrize("case", CASES)
def test_every_bit_comes_back(case, rows, tmp_path):
    options, data = CASES[case]
    est = BayesRidge(**options).fit(X, Y, **data)
    again = load(est.save(tmp_path / "m.bridge", rows=rows))
    for old, new in zip(numbers(est.posterior_), numbers(again.posterior_), strict=True):
        np.testing.assert_array_equal(old, new)
    new_rows = NEW[X.columns]
    np.testing.assert_array_equal(est.predict(new_rows, return_std=True), again.predict(new_rows, return_std=True))
    np.testing.assert_array_equal(est.predict_interval(new_rows), again.predict_interval(new_rows))
    pd.testing.assert_frame_equal(est.summary(), again.summary(), check_exact=True)
    assert repr(est) == repr(again)
    if rows:
        np.testing.assert_array_equal(est.posterior_.loo.pointwise, again.posterior_.loo.pointwise)
    else:
        with pytest.raises(RowsAbsentError, match="rows=True"):
            _ = again.posterior_.loo
        assert "observed_data" not in again.to_datatree(2, 1, 0).children
        with pytest.raises(RowsAbsentError, match="rows=True"):
            again.to_datatree(2, 1, 0, predictive=True)


@pytest.mark.parametrize("shape", [(12, 30), (8, 7), (9, 9)])
def test_wide_tables_come_back_to_rounding_and_with_rows_exactly(shape, tmp_path):
    own = np.random.default_rng(3)
    factors = own.standard_normal((shape[0], 2))
    wide = factors @ own.standard_normal((2, shape[1])) + 0.3 * own.standard_normal(shape)
    y = factors[:, 0] + 0.3 * own.standard_normal(shape[0])
    est = BayesRidge().fit(wide, y)
    again = load(est.save(tmp_path / "m.bridge")).posterior_
    sd = est.posterior_.coefficients.sd
    # V stands in for the rows: matrix products of another order, some 1e-15 each
    np.testing.assert_allclose((again.coefficients.mean - est.coef_) / sd, 0.0, atol=1e-12)
    np.testing.assert_allclose(again.coefficients.sd / sd, 1.0, rtol=1e-12)
    with_rows = load(est.save(tmp_path / "m.bridge", rows=True)).posterior_
    np.testing.assert_array_equal(with_rows.coefficients.sd, sd)
    assert with_rows.loo.elpd_loo == est.posterior_.loo.elpd_loo


FORMULAS = [
    "y ~ a * C(g) + `my col` + center(`my col`) + C(k, contr.sum) + b",
    "y ~ . - day",
    "y ~ 0 + g + cr(a, df=4) + poly(b, 2)",
    "y ~ 2:a + np.sin(a) + I(a**2) + C(k, contr.helmert):b + bs(d, df=5)",
    "y ~ C(day) + scale(a):g",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_come_back_with_what_they_learnt(formula, tmp_path):
    est = BayesRidge(formula=formula).fit(ROWS)
    again = load(est.save(tmp_path / "m.bridge"))
    # three rows: means, knots and categories are those of the fit and not of what is predicted
    np.testing.assert_array_equal(est.predict(NEW[:3]), again.predict(NEW[:3]))
    assert again.formula == formula
    assert list(again.coef_names_) == list(est.coef_names_)
    twice = load(again.save(tmp_path / "again.bridge"))
    np.testing.assert_array_equal(est.predict(NEW[:3]), twice.predict(NEW[:3]))
    if "C(g)" in formula:
        with pytest.raises(DataError, match="purple"):
            again.predict(NEW.assign(g="purple"))


def test_a_posterior_is_saved_too_and_loaded_as_an_estimator(tmp_path):
    post = posterior(X, Y, prior=BetaR2(2.0, 3.0))
    est = load(post.save(tmp_path / "m.bridge"))
    np.testing.assert_array_equal(est.posterior_.coefficients.mean, post.coefficients.mean)
    assert est.prior == BetaR2(2.0, 3.0)
    np.testing.assert_array_equal(est.fit(X, Y).coef_, post.coefficients.mean)


def test_a_folder_is_read_for_the_model_in_it(saved, tmp_path):
    with pytest.raises(ModelFileError, match=r"is a folder that holds no model\.bridge"):
        load(tmp_path)
    (tmp_path / "model.bridge").write_bytes(saved.read_bytes())
    assert load(tmp_path).lambda_ == load(saved).lambda_


def test_the_rows_are_not_in_the_file(tmp_path):
    path = BayesRidge().fit(X, Y).save(tmp_path / "m.bridge")
    data = path.read_bytes()
    for column in (*X.columns, "y"):
        for value in ROWS[column]:
            assert np.float64(value).tobytes() not in data
    assert path.read_bytes() == BayesRidge().fit(X, Y).save(tmp_path / "n.bridge").read_bytes()


def log_jump(lam):
    return np.where((lam > 0.5) & (lam < 40.0), -0.5 * np.log(lam), -np.inf)


CUSTOM = {
    "exponential": Custom(lambda lam: -lam),
    "with a jump": Custom(log_jump),
    "with a kink": Custom(lambda lam: -np.abs(lam - 3.0), label="kink"),
    "of tau": Custom(lambda tau: -np.square(tau - 1.0), of="tau"),
    "of R2": Custom(stats.beta(2.0, 3.0).logpdf, of="R2"),
    "of tau/sigma": Custom(stats.halfcauchy(scale=0.5).logpdf, of="tau/sigma"),
}


@pytest.mark.parametrize("prior", CUSTOM.values(), ids=CUSTOM)
def test_custom_densities_are_kept_as_numbers(prior, tmp_path):
    noise = Custom(stats.gamma(2.0).logpdf, of="sigma") if prior.of == "tau" else None
    est = BayesRidge(prior=prior, noise_prior=noise).fit(X, Y)
    again = load(est.save(tmp_path / "m.bridge"))
    old, new = est.posterior_, again.posterior_
    # densities meet to 1e-12, and what is integrated over them to as much; a jump is placed to 1e-9
    close = 2e-9 if prior is CUSTOM["with a jump"] else 1e-10
    for name in ("mean", "sd"):
        gap = (getattr(old.coefficients, name) - getattr(new.coefficients, name)) / old.coefficients.sd
        assert np.abs(gap).max() < close
    assert new.log_marginal_likelihood == pytest.approx(old.log_marginal_likelihood, abs=close)
    assert new.lambda_.interval(0.9) == pytest.approx(old.lambda_.interval(0.9), rel=10 * close)
    assert new.prior_texts == old.prior_texts
    twice = load(again.save(tmp_path / "n.bridge")).posterior_
    np.testing.assert_array_equal(twice.coefficients.mean, new.coefficients.mean)
    # the estimator can be fitted again, to other data too
    np.testing.assert_allclose(again.fit(X, 3.0 * Y).coef_, est.fit(X, 3.0 * Y).coef_, rtol=1e-8)
    with pytest.raises(PriorError, match="stored as numbers"):
        again.prior.log_pdf("a PyMC variable")


def test_a_density_that_no_table_holds_is_not_saved(tmp_path):
    with pytest.warns(AccuracyWarning, match="the log density is rough"):
        rough = BayesRidge(prior=Custom(lambda lam: -lam + 1e-3 * np.sin(1e7 * lam))).fit(X, Y)
    with pytest.raises(PriorError, match="too rough"):
        rough.save(tmp_path / "m.bridge")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("rows", [False, True], ids=["", "with rows"])
def test_chains_come_back_draw_by_draw(rows, tmp_path):
    exact = BayesRidge(formula="y ~ a + C(g)").fit(ROWS)
    tree = exact.to_datatree(50, 2, 0, predictive=True)
    table = diagnose(tree["posterior"].to_dataset(), None)
    tree["diagnostics"] = xr.DataTree(table.to_xarray())
    about = ("conjugate, centred", "pymc", 1.0, 2.0, False)
    sampled = SampledPosterior(exact.posterior_.design, ("p", "q"), tree, table, *about, (BetaR2(2.0, 3.0), Jeffreys()))
    sampler = {"name": "pymc", "draws": 50, "chains": 2}
    est = BayesRidge(formula=exact.formula, method="nuts", sampler=sampler)._keep(exact._table, sampled)
    again = load(est.save(tmp_path / "m.bridge", rows=rows))
    new = again.posterior_
    np.testing.assert_array_equal(est.predict(NEW), again.predict(NEW))
    np.testing.assert_array_equal(est.predict_interval(NEW), again.predict_interval(NEW))
    pd.testing.assert_frame_equal(est.summary(), again.summary(), check_exact=True)
    pd.testing.assert_frame_equal(sampled.diagnostics, new.diagnostics, check_exact=True)
    assert repr(est) == repr(again)
    assert again.sampler == sampler
    assert new.check == sampled.check
    assert new.priors == sampled.priors
    xr.testing.assert_identical(new.datatree["posterior"].to_dataset(), tree["posterior"].to_dataset())
    if rows:
        xr.testing.assert_identical(new.datatree, tree)
        assert new.loo.elpd_loo == sampled.loo.elpd_loo
    else:
        assert "loo" not in new.facts()
        with pytest.raises(RowsAbsentError, match="rows=True"):
            _ = new.loo
    plain = load(sampled.save(tmp_path / "p.bridge")).posterior_
    np.testing.assert_array_equal(plain.coefficients.mean, sampled.coefficients.mean)


def test_draws_that_do_not_fit_are_refused(tmp_path):
    exact = posterior(X, Y)
    tree = exact.to_datatree(10, 2, 0)
    table = diagnose(tree["posterior"].to_dataset(), None)
    sampled = SampledPosterior(
        exact.design, ("p", "q"), tree, table, "m", "pymc", 1.0, 2.0, False, (BetaR2(), Jeffreys())
    )
    path = sampled.save(tmp_path / "m.bridge")
    coef = unpack(path).arrays["posterior.coef"]
    for values in (coef[..., :-1], coef * np.nan, coef[:, :-1]):
        with pytest.raises(ModelFileError):
            load(forged(path, tmp_path / "n.bridge", "posterior.coef", npy(np.ascontiguousarray(values))))


def test_every_use_of_absent_rows_says_why():
    gone = AbsentRows((5, 2))
    assert (len(gone), gone.ndim, copy.deepcopy(gone).shape) == (5, 2, (5, 2))
    assert pickle.loads(pickle.dumps(gone)).shape == (5, 2)
    uses = [
        lambda: gone - 1.0, lambda: np.ones(5) * gone, lambda: gone @ np.ones(2), lambda: gone[0], lambda: gone.T,
        lambda: np.asarray(gone), lambda: np.sqrt(gone), lambda: gone > 0, lambda: np.concatenate([gone, gone]),
        lambda: list(gone), lambda: gone.sum(), lambda: np.ones((1, 5)) @ gone,
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(RowsAbsentError, match="rows=True"):
            use()


# -- files that are not what they should be ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    table = ROWS.iloc[:12]
    return BayesRidge(formula="y ~ a + C(g)").fit(table).save(tmp_path_factory.mktemp("saved") / "m.bridge")


def test_truncated_and_altered_files_are_detected(saved, tmp_path):
    data = saved.read_bytes()
    path, expected = tmp_path / "m.bridge", unpack(saved)
    for length in range(0, len(data), 499):
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError):
            load(path)
    found = 0
    for place in range(0, len(data), 89):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        try:
            got = unpack(path)
        except ModelFileError:
            found += 1
        else:  # dates and the like of the archive
            assert got.manifest == expected.manifest
            assert all(np.array_equal(got.arrays[name], expected.arrays[name]) for name in expected.arrays)
    assert found > 0.8 * len(range(0, len(data), 89))


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}, archive.comment


def write(path, files, comment, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.comment = comment
        for name, data in files:
            archive.writestr(name, data)
    return path


def npy(values):
    out = io.BytesIO()
    np.save(out, values, allow_pickle=True)
    return out.getvalue()


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch /tmp/bayesridge-was-here",))


def test_tricks_with_the_archive_are_refused(saved, tmp_path):
    files, comment = entries(saved)
    path = tmp_path / "m.bridge"
    with pytest.raises(ModelFileError, match="compressed"):
        load(write(path, files.items(), comment, zipfile.ZIP_DEFLATED))
    with pytest.raises(ModelFileError, match="not those"):
        load(write(path, [*files.items(), ("../../evil", b"x")], comment))
    with pytest.raises(ModelFileError, match="not those"):
        load(write(path, list(files.items())[:-1], comment))
    with pytest.raises(ModelFileError, match="checksum"):
        load(write(path, files.items(), b""))
    with pytest.warns(UserWarning, match="Duplicate"):
        write(path, [*files.items(), ("s.npy", files["s.npy"])], comment)
    with pytest.raises(ModelFileError, match="twice"):
        load(path)
    path.write_text("y,x\n1,2\n")
    with pytest.raises(ModelFileError, match="not a saved model"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing.bridge")


def forged(saved, path, name, data):
    """A file whose checksums are right and one of whose arrays is not."""
    bundle = unpack(saved)
    path.write_bytes(pack(bundle))
    files, _ = entries(path)
    text = files["manifest.json"].decode()
    old, new = (hashlib.sha256(one).hexdigest() for one in (files[f"{name}.npy"], data))
    files[f"{name}.npy"], files["manifest.json"] = data, text.replace(old, new).encode()
    return write(path, files.items(), hashlib.sha256(files["manifest.json"]).hexdigest().encode())


def test_arrays_that_lie_are_refused_and_pickles_never_opened(saved, tmp_path):
    path = tmp_path / "m.bridge"
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    huge = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    for data in (npy(np.array([Bomb()], dtype=object)), huge, npy(np.ones(3, "<c16")), npy(np.ones(3, ">f8")), b""):
        with pytest.raises(ModelFileError):
            load(forged(saved, path, "s", data))
    assert not os.path.exists("/tmp/bayesridge-was-here")
    good = unpack(saved).arrays["s"]
    for values in (good[:-1], -good, good * np.nan, np.ones((2, 2))):
        with pytest.raises(ModelFileError, match="fit together"):
            load(forged(saved, path, "s", npy(np.ascontiguousarray(values))))
    path.write_bytes(saved.read_bytes())
    assert load(forged(saved, path, "s", npy(good))).posterior_.spectrum.s == pytest.approx(good, rel=0)


def leaves(node, way=()):
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield from leaves(node[key], (*way, key))
    else:
        yield way


@pytest.mark.parametrize("junk", ["__import__('os').system('touch /tmp/bayesridge-was-here')", [1]], ids=repr)
def test_a_manifest_with_junk_anywhere_is_a_model_or_a_named_error(saved, tmp_path, junk):
    manifest, arrays = unpack(saved)
    refused = 0
    for way in leaves(manifest):
        changed = copy.deepcopy(manifest)
        node = changed
        for key in way[:-1]:
            node = node[key]
        node[way[-1]] = junk
        path = tmp_path / "m.bridge"
        path.write_bytes(pack(Bundle(changed, arrays)))
        try:
            load(path)
        except ModelFileError:
            refused += 1
    assert refused > 20
    assert not os.path.exists("/tmp/bayesridge-was-here")


def fitted(engine):
    """A small model of each engine."""
    own, table = np.random.default_rng(0), ROWS.iloc[:14]
    if engine == "one lambda":
        est = BayesRidge(formula="y ~ a + C(g)", weight_kind="precision", unpenalized=["a"])
        return est.fit(table, sample_weight=own.uniform(0.5, 2.0, 14))
    if engine == "wide":
        return BayesRidge().fit(own.standard_normal((6, 9)), own.standard_normal(6))
    if engine == "groups":
        return BayesRidge(groups={"one": ["a", "b"], "two": ["my col"]}).fit(X.iloc[:14, :3], Y[:14])
    if engine == "counts":
        return BayesRidge(family="poisson").fit(X.iloc[:14, :2], own.poisson(2.0, 14))
    if engine == "classifier":
        return BayesRidgeClassifier().fit(X.iloc[:14, :2], np.where(own.random(14) > 0.5, "yes", "no"))
    exact = posterior(X[:14], Y[:14])
    tree = exact.to_datatree(10, 2, 0)
    table = diagnose(tree["posterior"].to_dataset(), None)
    return SampledPosterior(exact.design, ("p", "q"), tree, table, "m", "pymc", 1.0, 2.0, False, (BetaR2(), Jeffreys()))


def answers(est):
    found = []
    post = est.posterior_
    for ask in (
        lambda: np.r_[post.coefficients.mean, post.coefficients.sd, np.ravel(post.coefficients.interval(0.9))],
        lambda: [post.intercept.mean[0], post.log_marginal_likelihood],
        lambda: post.loo.elpd_loo,
    ):
        try:
            found.append(ask())
        except (BayesRidgeError, AttributeError) as error:
            found.append(type(error).__name__)
    return type(est).__name__, found


def mutations(manifest, arrays, rng):
    """A fact gone (each time a dozen of them), an array gone, cut, or with a number that is none."""
    ways = [way for way in leaves(manifest) if way[0] != "versions"]
    for pick in rng.choice(len(ways), 12, replace=False):
        changed = copy.deepcopy(manifest)
        node = changed
        for key in ways[pick][:-1]:
            node = node[key]
        del node[ways[pick][-1]]
        yield "/".join(map(str, ways[pick])), changed, arrays
    for name in arrays:
        values = np.ascontiguousarray(arrays[name])
        yield f"{name} gone", manifest, {key: one for key, one in arrays.items() if key != name}
        if values.size:
            yield f"{name} cut", manifest, {**arrays, name: values[:-1]}
        if values.size and values.dtype.kind == "f":
            spoiled = values.copy()
            spoiled.flat[0] = np.nan
            yield f"{name} spoiled", manifest, {**arrays, name: spoiled}


ENGINES = ("one lambda", "wide", "groups", "counts", "classifier", "chains")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("engine", "rows"), [(engine, True) for engine in ENGINES] + [("one lambda", False), ("counts", False)]
)
def test_a_file_that_lacks_or_spoils_something_is_refused_or_answers_the_same(engine, rows, tmp_path):
    """Whose checksums are right: as another version, or a hand, would write it."""
    path = fitted(engine).save(tmp_path / "m.bridge", rows=rows)
    right, refused = answers(load(path)), 0
    for what, manifest, arrays in mutations(*unpack(path), np.random.default_rng(len(engine))):
        path.write_bytes(pack(Bundle(manifest, arrays)))
        try:
            kind, found = answers(load(path))
        except ModelFileError:
            refused += 1
            continue
        assert kind == right[0], what
        for one, same in zip(found, right[1], strict=True):
            if isinstance(same, str):
                assert one == same, what
            else:
                np.testing.assert_allclose(one, same, rtol=1e-9, atol=1e-9, err_msg=what)
    assert refused > 10


def test_a_prior_without_one_of_its_numbers_is_not_the_default(saved, tmp_path):
    manifest, arrays = unpack(saved)
    del manifest["prior"]["values"]["b"]
    path = tmp_path / "m.bridge"
    path.write_bytes(pack(Bundle(manifest, arrays)))
    with pytest.raises(ModelFileError, match="its prior BetaR2 lacks b"):
        load(path)


def test_unknown_schemas_and_engines_are_refused(saved, tmp_path):
    manifest, arrays = unpack(saved)
    for change, words in (({"schema": 99}, "schema 99"), ({"engine": "kernel"}, "kernel"), ({"format": "x"}, "not a")):
        path = tmp_path / "m.bridge"
        path.write_bytes(pack(Bundle({**manifest, **change}, arrays)))
        with pytest.raises(ModelFileError, match=words):
            load(path)


def test_a_state_that_lacks_something_is_refused_by_name(saved, tmp_path):
    """As one written by an older version of the same schema would."""
    manifest, arrays = unpack(saved)
    path = tmp_path / "m.bridge"
    ways = [("engine",), ("design",), ("table",), ("options",), *(("design", name) for name in manifest["design"])]
    for *above, name in ways:
        changed = copy.deepcopy(manifest)
        del (changed[above[0]] if above else changed)[name]
        path.write_bytes(pack(Bundle(changed, arrays)))
        with pytest.raises(ModelFileError, match=f"it lacks '{name}'.; if another version of bayesridge wrote it"):
            load(path)


def test_a_full_disk_leaves_the_old_model(saved, tmp_path, monkeypatch):
    path = tmp_path / "m.bridge"
    path.write_bytes(saved.read_bytes())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        load(saved).save(path)
    assert path.read_bytes() == saved.read_bytes()
    assert [one.name for one in tmp_path.iterdir()] == ["m.bridge"]


def test_the_manifest_can_be_read_by_anyone(saved):
    files, _ = entries(saved)
    manifest = json.loads(files["manifest.json"])
    assert manifest["schema"] == 1
    assert manifest["versions"]["bayesridge"] == bayesridge.__version__
    assert manifest["prior"] == {"class": "BetaR2", "values": {"a": 0.5, "b": 0.5}}
