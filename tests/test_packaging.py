"""The packaging: what ships, what is imported, what is pinned."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bayesridge

ROOT = Path(__file__).resolve().parents[1]
PINS = ["bootstrap", "runtime", "dev"]
PIN = re.compile(r"[a-z0-9-]+==[^\s;]+(\s*;[^\\]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")


@cache
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def source_files():
    """All Python files of the checkout, each once (links are not followed)."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f[0] != "." and f not in {"build", "dist", "__pycache__"}]
        yield from (Path(folder, name) for name in names if name.endswith(".py"))


def imported_roots(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.split(".")[0]


def logical_lines(name):
    """The lines of a requirements file, continued lines joined, comments left out."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(kept).replace("\\\n", " ").splitlines()


def pins(name):
    requirements = (Requirement(line.split("--hash=")[0]) for line in logical_lines(name))
    return {(canonicalize_name(r.name), str(r.specifier), str(r.marker)) for r in requirements}


def test_packages_are_the_packages_of_the_tree():
    package = ROOT / "bayesridge"
    found = set()
    for folder, folders, names in os.walk(package, followlinks=True):
        folders[:] = [f for f in folders if f != "__pycache__"]
        if any(name.endswith(".py") for name in names):
            found.add(".".join(Path(folder).relative_to(ROOT).parts))
    assert found == set(project()["tool"]["setuptools"]["packages"])


@pytest.mark.parametrize("name", ["models", "data"])
def test_links_are_relative_and_lead_to_the_top_level(name):
    link = ROOT / "bayesridge" / name
    assert link.is_symlink()
    assert os.readlink(link) == f"../{name}"
    assert link.resolve() == ROOT / name
    assert project()["tool"]["setuptools"]["package-dir"][f"bayesridge.{name}"] == name


def test_no_file_imports_models_or_data_from_the_top_level():
    named = re.compile(r"^\s*(from|import)\b.*\b(models|data)\b", re.MULTILINE)  # parsing all would take seconds
    guilty = [
        str(path) for path in source_files()
        if named.search(path.read_text(encoding="utf-8")) and {"models", "data"} & set(imported_roots(path))
    ]  # fmt: skip
    assert guilty == []


@pytest.mark.parametrize("module", ["bayesridge", "bayesridge.datasets"])
def test_import_is_light(module):
    heavy = ["arviz", "dask", "formulaic", "matplotlib", "narwhals", "pandas", "pymc", "sklearn", "xarray"]
    code = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\]", changelog, flags=re.MULTILINE)
    assert re.search(r"^version: (.+)$", citation, flags=re.MULTILINE).group(1) == bayesridge.__version__
    assert released[0] == bayesridge.__version__
    assert project()["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "bayesridge.__version__"}


@pytest.mark.parametrize("name", PINS)
def test_requirements_are_hashed_pins_without_addresses(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    lines = logical_lines(name)
    assert lines
    for line in lines:
        assert PIN.fullmatch(line.strip()), line


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_pins_satisfy_the_project(name):
    metadata = project()["project"]
    wanted = list(metadata["dependencies"])
    if name == "dev":
        wanted += [r for r in metadata["optional-dependencies"]["dev"] if not r.startswith("bayesridge[")]
    pinned = {pin: specifier.removeprefix("==") for pin, specifier, _ in pins(name)}
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), requirement


def test_dev_pins_contain_the_runtime_pins():
    missing = {(name, version) for name, version, _ in pins("runtime")} - {(n, v) for n, v, _ in pins("dev")}
    assert missing == set()


def test_python_version_file_names_supported_pythons_first():
    first = (ROOT / ".python-version").read_text(encoding="utf-8").split()[0]
    assert project()["project"]["requires-python"] == ">=3.12"
    assert tuple(map(int, first.split("."))) >= (3, 12)
