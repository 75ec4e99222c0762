"""Check a bayesridge installed from a wheel; argument: the checkout that it must not be imported from."""

import sys
from importlib.metadata import version
from pathlib import Path

HEAVY = {"arviz", "dask", "formulaic", "matplotlib", "narwhals", "pandas", "pymc", "sklearn", "xarray"}


def main(checkout: Path) -> None:
    """Run every check; an assertion fails at the first that does not hold."""
    import bayesridge

    imported = HEAVY & set(sys.modules)
    assert not imported, f"import bayesridge imports {sorted(imported)}"

    import bayesridge.models
    from bayesridge import datasets

    for module in (bayesridge, bayesridge.models, datasets):
        path = Path(str(module.__file__)).resolve()
        assert checkout not in path.parents, f"{path} is in the checkout"
    assert bayesridge.__version__ == version("bayesridge")
    home = Path(bayesridge.__file__).parent
    assert (home / "py.typed").is_file()

    for name in datasets.names():
        X, y = datasets.load_xy(name)
        assert len(X) == len(y) > 0
        sys.stdout.write(f"{name}: {len(X)} rows, {X.shape[1]} predictors\n")
    sys.stdout.write(f"bayesridge {bayesridge.__version__} works from {home}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
