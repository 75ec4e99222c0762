"""The command ``bayesridge fit TABLE --target y``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayesridge.cli.options import (
    AsJson,
    FamilyName,
    Level,
    Model,
    Offset,
    Positive,
    Seed,
    Trials,
    as_text,
    collected_warnings,
    command,
    echo_json,
    with_classes,
    working,
)

# Only what --help needs is imported here; the rest waits until there is something to do.
if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayesridge.design.accumulate import Files
    from bayesridge.mcmc.chains import SamplerName
    from bayesridge.mcmc.posterior import SampledPosterior
    from bayesridge.persistence import Table
    from bayesridge.posteriors.contract import AnyPosterior
    from bayesridge.posteriors.files_loo import FilesLeaveOneOut
    from bayesridge.posteriors.posterior import Posterior

_FILES = ("coefficients.csv", "draws.nc", "fit.json", "model.bridge")


MethodName = Annotated[
    Literal["posterior", "evidence", "fixed", "nuts"],
    typer.Option(
        help="Integrate lambda, plug in the evidence maximum, take lambda from a fixing --prior, or sample the "
        "posterior with PyMC's NUTS."
    ),
]
Draws = Annotated[
    int, typer.Option(help="Draws saved with --out, and made by --method nuts (4 chains of a quarter each).")
]
Tune = Annotated[int, typer.Option(help="Warm-up steps of each chain of --method nuts.")]
SamplerOption = Annotated[
    Literal["pymc", "nutpie", "numpyro", "blackjax"] | None,
    typer.Option(help="Who samples under --method nuts: by default nutpie where installed, otherwise PyMC."),
]
Batches = Annotated[
    bool | None,
    typer.Option(help="Read rows in batches and keep their sums alone; by default of folders and large files."),
]
Checkpoint = Annotated[
    Path | None, typer.Option(help="File for the sums so far: an interrupted fit of batches goes on from there.")
]
LooRows = Annotated[
    Path | None, typer.Option(help="The same, and the scores of every row to this file (.csv, .parquet).")
]


@command
def fit(
    model: Model,
    method: MethodName = "posterior",
    level: Level = 0.95,
    out: Annotated[
        Path | None, typer.Option(help="Folder for coefficients.csv, draws.nc, fit.json and model.bridge.")
    ] = None,
    draws: Draws = 4000,
    tune: Tune = 1000,
    sampler: SamplerOption = None,
    family: FamilyName = "gaussian",
    offset: Offset = None,
    trials: Trials = None,
    positive: Positive = None,
    seed: Seed = 0,
    batches: Batches = None,
    checkpoint: Checkpoint = None,
    loo: Annotated[bool, typer.Option("--loo", help="Of batches: read the rows once more for leave-one-out.")] = False,
    loo_rows: LooRows = None,
    as_json: AsJson = False,
) -> None:
    """Fit a table and print coefficients, lambda with its uncertainty, noise, leave-one-out and diagnostics."""
    from bayesridge.atomic import check_folder
    from bayesridge.fit import one_lambda
    from bayesridge.persistence import save_model
    from bayesridge.posteriors.summary import jsonable, keyed, to_record
    from bayesridge.posteriors.terms import all_coefficients

    out = None if out is None else check_folder(out, {*_FILES})
    warned: list[str] = []
    with collected_warnings(warned):
        with working(f"fitting {model.table}") as counted:
            files = _files(model, batches, checkpoint, counted)
            post, table = _fit(model, files, method, family, offset, trials, positive)
            asked = loo or loo_rows is not None
            scored = _second_pass(model, files, one_lambda(post), offset, loo_rows) if asked else None
        sampled = _sample(post, sampler, draws, tune, seed, show=not as_json) if method == "nuts" else None
        shown = sampled or post
        record = dict(jsonable(to_record(shown, level)))
    if scored is not None:
        del record["no_loo"]
        record["loo"] = jsonable(scored.facts())
    record["warnings"] = warned
    if out is not None:
        record["saved"] = [str(out / name) for name in _FILES]
        tree = sampled.to_datatree() if sampled is not None else post.to_datatree(max(1, draws // 4), 4, seed)
        save = partial(save_model, shown, table=table, options=_options(shown, table, model))
        _save(keyed(all_coefficients(shown, level), level).assign(level=level), tree, record, save, out)
    if as_json:
        echo_json(record)
        return
    from bayesridge.cli.terminal import print_fit

    print_fit(shown, record, level)


def _files(model: Model, batches: bool | None, checkpoint: Path | None, counted: Any) -> Files | None:
    """The table as files in batches, where it is asked for or too large; None for a table in memory."""
    from bayesridge.errors import DataError
    from bayesridge.tables.batches import is_large

    if batches is None and (checkpoint is not None or is_large(model.table)):
        batches = True
    if not batches:
        if checkpoint is not None:
            raise DataError("--checkpoint is for --batches")
        return None
    from bayesridge.design.accumulate import Files

    return Files(model.table, tuple(model.drop or ()), checkpoint, counted)


def _second_pass(
    model: Model, files: Files | None, post: Posterior, offset: str | None, out: Path | None
) -> FilesLeaveOneOut:
    from bayesridge.errors import DataError

    if files is None:
        raise DataError("--loo is for --batches: of a table in memory leave-one-out is there anyway")
    read = model.in_batches(files)
    asked = {name: read[name] for name in ("weights", "formula", "missing")}
    return post.loo_of_files(read["X"], read["y"], offset=offset, out=out, **asked)


def _fit(
    model: Model, files: Files | None, method: str, family: str, offset: str | None, trials: str | None,
    positive: str | None,
) -> tuple[AnyPosterior, Table]:  # fmt: skip
    from bayesridge.errors import DataError, PriorError
    from bayesridge.fit import infer_problem
    from bayesridge.problem import read_problem, source_table

    if files is not None and (method == "nuts" or family != "gaussian" or trials):
        raise DataError(
            "rows in batches have Gaussian noise and an exact posterior: leave --family, --trials and --method nuts "
            "out, or say --no-batches where the table fits into memory"
        )
    read = model.read(trials=trials) if files is None else model.in_batches(files)
    data, classes = with_classes({**read, "offset": offset}, family, positive)
    prior, noise = data.pop("prior"), data.pop("noise_prior")
    fixing = prior is not None and prior.known is not None
    if method == "fixed" and not fixing:
        raise PriorError("--method fixed needs a fixing prior, such as --prior fixed:10")
    if method == "posterior" and fixing:
        raise PriorError(f"--prior {model.prior} fixes lambda: say --method fixed")
    if method == "evidence" and model.prior is not None:
        raise PriorError("--method evidence uses no prior of lambda: leave --prior out")
    kind: Literal["evidence"] | None = "evidence" if method == "evidence" else None
    problem = read_problem(**data, family=family)
    post = infer_problem(problem, prior, noise, kind, family)
    return post, source_table(data["X"], problem)._replace(labels=classes)


def _options(post: AnyPosterior, table: Table, model: Model) -> dict[str, Any]:
    """The arguments of the estimator that a model file holds."""
    options = {**post.options(), "formula": model.formula, "missing": model.missing}
    if post.design.blocks:  # which the formula states
        options |= {"groups": None, "unpenalized": model.unpenalized or [], "scale": not model.no_scale}
    if table.labels is not None:
        options["link"] = {"binomial": "logit"}.get(options.pop("family"), "probit")
    return options


def _sample(
    post: AnyPosterior, name: SamplerName | None, draws: int, tune: int, seed: int, *, show: bool
) -> SampledPosterior:
    from bayesridge.mcmc.chains import Sampler
    from bayesridge.mcmc.sampling import sample

    show = show and sys.stdout.isatty()
    return sample(post, sampler=Sampler(name, max(1, draws // 4), tune, progressbar=show), random_state=seed)


def _save(
    coefficients: pd.DataFrame, tree: xr.DataTree, record: dict[str, Any], save: Callable[[Path], Any], out: Path
) -> None:
    """Write the coefficients, the draws, the record, and the model that they describe."""
    from bayesridge.atomic import write_folder
    from bayesridge.tables.files import csv_text

    # netCDF is made in memory: HDF5 that meets a full disk crashes the interpreter when it ends
    netcdf = bytes(tree.to_netcdf(engine="h5netcdf"))
    with write_folder(out, {*_FILES}) as folder:
        (folder / "coefficients.csv").write_text(csv_text(coefficients, "column"), encoding="utf-8")
        (folder / "draws.nc").write_bytes(netcdf)
        (folder / "fit.json").write_text(as_text(record) + "\n", encoding="utf-8")
        save(folder / "model.bridge")
