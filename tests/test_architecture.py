"""The house holds: imports run downwards only, whether a module needs them at once, later, or for its types."""

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from benchmarks.undone import MENDS

PACKAGE = Path(__file__).resolve().parents[1] / "bayesridge"

#: From the ground up; what stands on one floor does not import one another, nor what stands above.
FLOORS = (
    ("errors",),
    ("atomic", "bundle", "datasets", "parallel", "priors", "tables", "translate"),
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

#: The packages that may name the parts of a spectrum: those that make it, and what is behind the seam.
BELOW = {"design", "linalg", "engines", "hyper", "outcomes"}
SPECTRAL = {"s", "s2", "z", "z2", "r0", "V"}
#: Where s^2 / (s^2 + lambda), 1 / (s^2 + lambda) and log(1 + s^2 / lambda) are written.
ALGEBRA = "linalg/shares.py"
PENALTY = re.compile(r"\b(lam|log_lam|lambda_|s2)\b|\bs \*\* 2")


@cache
def modules():
    """Every module by its dotted name; those of models and data are elsewhere and stand on nothing but priors."""
    found = {path.relative_to(PACKAGE.parent).with_suffix("").parts: path for path in PACKAGE.rglob("*.py")}
    own = {parts: path for parts, path in found.items() if parts[1] not in ("models", "data")}
    return {".".join(parts).removesuffix(".__init__"): own[parts] for parts in sorted(own)}


@cache
def trees():
    """The syntax of each."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules().items()}


@cache
def imports():
    """Which modules each module imports, anywhere in its text."""
    found = {}
    for name, tree in trees().items():
        named = set()
        for node in ast.walk(tree):
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


def nodes(kinds):
    """Nodes of some kinds in every module's syntax, with the module's path."""
    for module, tree in trees().items():
        name = modules()[module].relative_to(PACKAGE).as_posix()
        yield from ((name, node) for node in ast.walk(tree) if isinstance(node, kinds))


def names_a_part(node):
    """An attribute called as a part of a spectrum is; a result's own s and z (the table of a check) are not meant."""
    if node.attr not in SPECTRAL:
        return False
    of = ast.unparse(node.value).split(".")[-1]
    return node.attr not in ("s", "z") or of in ("s", "spectrum", "factor", "targets")


def writes_the_algebra(node):
    """A division by a sum, or a function of one, in which a penalty or a squared singular value stands."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        sums = [one for one in ast.walk(node.right) if isinstance(one, ast.BinOp) and isinstance(one.op, ast.Add)]
        return any(PENALTY.search(ast.unparse(one)) for one in sums)
    called = isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1]
    if called in ("expit", "log1p", "logaddexp", "reciprocal"):
        return any(PENALTY.search(ast.unparse(one)) for one in node.args)
    return called == "outer" and "add.outer" in ast.unparse(node.func) and bool(PENALTY.search(ast.unparse(node)))


def test_nothing_above_the_seam_names_the_parts_of_a_spectrum():
    above = ((name, node) for name, node in nodes(ast.Attribute) if name.split("/")[0] not in BELOW)
    assert [f"{name}:{node.lineno} {ast.unparse(node)}" for name, node in above if names_a_part(node)] == []


def test_the_algebra_of_lambda_is_written_once():
    found = nodes((ast.BinOp, ast.Call))
    guilty = [(name, node) for name, node in found if name != ALGEBRA and writes_the_algebra(node)]
    assert [f"{name}:{node.lineno} {ast.unparse(node)}" for name, node in guilty] == []


@pytest.mark.parametrize(
    "text",
    ["a / (s2 + lam)", "1 / (1 + s.s2 * np.exp(-log_lam))", "np.log1p(s2 / lam)", "np.add.outer(s2, lam)",
     "expit(np.log(s2) - t)", "np.reciprocal(found.s ** 2 + lam)", "signal / (signal + lam)"],
)  # fmt: skip
def test_the_search_for_it_finds_it(text):
    assert any(writes_the_algebra(node) for node in ast.walk(ast.parse(text)))


def test_mends_that_are_undone_to_try_their_tests_stand_where_it_is_said():
    texts = {one: (PACKAGE / one.file).read_text(encoding="utf-8") for one in MENDS}
    assert [one.what for one, text in texts.items() if text.count(one.now) != 1] == []
    files = {name for one in MENDS for name in one.tests.split()}
    assert [name for name in files if not (PACKAGE.parent / "tests" / name).is_file()] == []
