"""Cases in which the fuzzer found a defect, kept as they were found."""

from tests.fuzz.cases import ORDINARY, Case
from tests.fuzz.text import Text

FOUND = {
    "parts without a target": Text("formula", "bs(a, df=4) | np.exp(a) + log(a)"),
    "a weight of zero times an infinite variance": Case(
        1293432024, 3, ("plain",),
        **ORDINARY | {"decade_x": 8, "layout": "masked", "weight_kind": "precision", "prior": "gamma",
                      "prior_decade": 6, "relation": "unit of a column"},
    ),
    "rows that count twice, and columns that span them": Case(
        2085057744, 6,
        ("one row", "plain", "offset 1e6", "nearly duplicate", "plain", "sum of two", "plain", "offset 1e6", "binary"),
        **ORDINARY | {"graded": 4, "decade_y": 8, "layout": "strided", "intercept": False, "unpenalized": (3,),
                      "prior": "half-cauchy tau", "prior_decade": -7, "noise": "half-cauchy", "noise_decade": -5,
                      "relation": "rows repeated"},
    ),
    "evidence that is the same for every lambda": Case(
        516857044, 6, ("heavy tails", "plain", "plain"),
        **ORDINARY | {"graded": 12, "decade_x": 30, "layout": "big-endian", "weights": "some zero",
                      "weight_kind": "precision", "prior": "half-t", "prior_decade": -4, "noise_decade": -1,
                      "method": "evidence", "relation": "order of rows"},
    ),
    "a spike inside tails of another size": Case(
        1276385849, 12, ("plain", "constant", "binary", "constant"),
        **ORDINARY | {"graded": 4, "target": "offset 1e8", "layout": "fortran", "weights": "tiny",
                      "weight_kind": "precision", "intercept": False, "unpenalized": (0,),
                      "prior": "gamma precisions", "prior_decade": -7, "noise_decade": -8, "relation": "order of rows"},
    ),
    "a column that an unpenalised one spans": Case(
        733557997, 4, ("binary", "duplicate"),
        **ORDINARY | {"weight_kind": "precision", "intercept": False, "unpenalized": (1,), "prior": "gamma precisions",
                      "prior_decade": -1, "noise_decade": -1, "relation": "sign of y"},
    ),
    "a perfect fit by three rows that count 1e12": Case(
        1202570612, 3, ("plain", "sum of two", "constant"),
        **ORDINARY | {"target": "noise", "decade_x": 30, "layout": "list", "weights": "one 1e12", "intercept": False,
                      "prior": "half-cauchy", "prior_decade": 2, "relation": "order of columns"},
    ),
}  # fmt: skip
