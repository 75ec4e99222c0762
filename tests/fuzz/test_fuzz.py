"""hypothesis over the fuzzer's own cases (what fails is shrunk), and planted faults that the fuzzer must find."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesridge.posteriors.inferred import Inferred
from bayesridge.posteriors.quantity import MixtureQuantity
from tests.fuzz import run
from tests.fuzz.cases import ORDINARY, Case, make_case, table
from tests.fuzz.exact import exact_fit
from tests.fuzz.found import FOUND
from tests.fuzz.invariants import BrokenInvariantError, check
from tests.fuzz.text import Text, check_text, make_text

CASE = Case(7, 12, ("plain", "binary", "plain", "heavy tails"), **ORDINARY)


class Drawn:
    """Picks by hypothesis, which shrinks towards the first option."""

    def __init__(self, draw):
        self.draw = draw

    def choice(self, options):
        return self.draw(st.sampled_from(options))

    def integer(self, low, high):
        return self.draw(st.integers(low, high))


cases = st.composite(lambda draw: make_case(Drawn(draw)))
texts = st.composite(lambda draw: make_text(Drawn(draw)))
few = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


@few
@given(cases())
def test_designs(case):
    check(case)


@few
@given(texts())
def test_words(text):
    check_text(text)


@pytest.mark.parametrize("defect", FOUND)
def test_what_was_found_stays_mended(defect):
    case = FOUND[defect]
    (check_text if isinstance(case, Text) else check)(case)


def test_a_case_is_made_from_its_number_alone():
    assert run.run_case(3, 7) == run.run_case(3, 7)


def _crossed(right):
    return lambda self, level: right(self, level)[:, ::-1]


def _beyond_one(right):
    return lambda self, value: right(self, value) + 1e-9


def _drifting(_):
    return property(lambda self: self.hyper.log_marginal + 1e-5)


PLANTED = {
    "quantiles the wrong way round": (MixtureQuantity, "interval", _crossed, "not in order"),
    "probabilities above one": (MixtureQuantity, "cdf", _beyond_one, "a cdf is"),
    "a constant lost": (Inferred, "log_marginal_likelihood", _drifting, "exactly"),
}


@pytest.mark.parametrize("fault", list(PLANTED))
def test_planted_faults_are_found(fault, monkeypatch):
    owner, name, spoil, message = PLANTED[fault]
    case = replace(CASE, prior="fixed lambda")
    assert check(case) == "fitted"
    assert exact_fit(case, table(case)) is not None
    monkeypatch.setattr(owner, name, spoil(vars(owner)[name]))
    with pytest.raises(BrokenInvariantError, match=message):
        check(case)


def test_a_hang_and_a_foreign_error_are_found(monkeypatch):
    def endless(_):
        while True:
            pass

    def foreign(_):
        raise IndexError("index 0 is out of bounds")

    monkeypatch.setattr(run, "LIMIT", 0.05)
    for function, found in ((endless, "Hang"), (foreign, "IndexError")):
        monkeypatch.setattr(run, "build", lambda *_, function=function: (function, CASE))
        outcome, failure = run.run_case(1, 2)
        assert outcome == "FAILED"
        assert failure[0].startswith(found)
