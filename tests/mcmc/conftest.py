"""Models of PyMC are evaluated here a few times: compiled, each function would cost a second of compiler."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def no_compiler(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave graphs to Python, but for the chains of `test_nuts_method`, which are long."""
    import pytensor

    if request.module.__name__.endswith("test_nuts_method"):
        yield
    else:
        with pytensor.config.change_flags(cxx=""):
            yield
