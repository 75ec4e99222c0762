"""The house holds: imports run downwards only, whether a module needs them at once, later, or for its types."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "bayesridge"

#: From the ground up; what stands on one floor does not import one another, nor what stands above.
FLOORS = (
    ("errors", "parallel"),
    ("atomic", "bundle", "datasets", "priors", "tables", "translate"),
    ("design",),
    ("linalg", "persistence"),
    ("engines", "problem"),
    ("hyper",),
    ("posteriors",),
    ("inverse", "outcomes"),
    ("fit",),
    ("mcmc", "rules"),
    ("checks",),
    ("estimator", "plots", "reporting"),
    ("cli", "__main__"),
)

#: Modules above the seam that are about one lambda and its spectrum, and refuse every other model by type.
ONE_LAMBDA = {
    "checks/own_scales.py", "checks/replicates.py", "checks/spectral_check.py", "plots/lambda_axis.py",
    "plots/risk.py", "reporting/payload.py",
}  # fmt: skip
SPECTRAL = {"s", "s2", "z", "z2", "r0", "V"}


@cache
def modules():
    """Every module by its dotted name; those of models and data are elsewhere and stand on nothing but priors."""
    found = {path.relative_to(PACKAGE.parent).with_suffix("").parts: path for path in PACKAGE.rglob("*.py")}
    own = {parts: path for parts, path in found.items() if parts[1] not in ("models", "data")}
    return {".".join(parts).removesuffix(".__init__"): own[parts] for parts in sorted(own)}


@cache
def imports():
    """Which modules each module imports, anywhere in its text."""
    found = {}
    for name, path in modules().items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name} imports relatively"
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
        # the package itself only names what is in it, and is imported for its version
        found[name] = (named & modules().keys()) - {name, "bayesridge"}
    del found["bayesridge"]
    return found


def floor_of(module):
    part = module.split(".")[1]
    found = [k for k, floor in enumerate(FLOORS) if part in floor]
    assert found, f"bayesridge.{part} has no floor: name it in FLOORS, above all that it imports"
    return found[0]


def test_no_modules_import_one_another():
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(f"a cycle of imports: {' <- '.join(error.args[1])}")


def test_imports_run_downwards_only():
    assert len(FLOORS) <= 13
    upwards = [
        f"{one} imports {other}"
        for one, others in imports().items()
        for other in others
        if one.split(".")[1] != other.split(".")[1] and floor_of(other) >= floor_of(one)
    ]
    # the way in is a floor of its own kind
    assert [line for line in upwards if line != "bayesridge.__main__ imports bayesridge.cli.main"] == []


def test_few_modules_lie_directly_in_the_package():
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_the_top_offers_few_names():
    import bayesridge
    from bayesridge import errors, priors

    beside = [name for name in bayesridge.__all__ if not (hasattr(errors, name) or hasattr(priors, name))]
    assert len(set(beside) - {"__version__"}) <= 20


def test_models_and_data_stand_on_the_ground():
    for path in [*PACKAGE.glob("models/*.py"), *PACKAGE.glob("data/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bayesridge."):
                part = node.module.split(".")[1]
                assert part in ("models", "data") or floor_of(node.module) <= floor_of("bayesridge.engines"), path


@pytest.mark.parametrize("package", ["checks", "cli", "plots", "reporting"])
def test_nothing_above_the_seam_names_the_parts_of_a_spectrum(package):
    guilty = []
    for path in PACKAGE.glob(f"{package}/*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Attribute) and node.attr in SPECTRAL
            if named and ast.unparse(node.value).split(".")[-1] == "spectrum" and name not in ONE_LAMBDA:
                guilty.append(f"{name}:{node.lineno} {ast.unparse(node)}")
    assert guilty == []
