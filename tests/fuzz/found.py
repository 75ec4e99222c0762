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
    "columns whose sums a row of nearly all weight rounds": Case(
        1455230692, 6, ("plain", "plain", "one row", "plain", "constant", "constant", "nearly duplicate",
        "one row", "sum of two"),
        **ORDINARY | {"layout": "float32", "weights": "one 1e12", "weight_kind": "precision", "prior":
        "half-cauchy", "prior_decade": 10, "noise": "custom", "noise_decade": -6, "relation":
        "order of columns"},
    ),
    "a duplicate of an unpenalised column, rounded by a heavy row": Case(
        185797839, 6, ("constant", "sum of two", "duplicate"),
        **ORDINARY | {"decade_y": -3, "layout": "frame", "weights": "one 1e12", "unpenalized": (2,), "prior":
        "gamma precisions", "prior_decade": -3, "relation": "order of rows"},
    ),
    "a row of nearly all weight among others": Case(
        232419811, 12, ("heavy tails", "plain", "one row", "zero"),
        **ORDINARY | {"decade_x": -30, "weights": "one 1e12", "intercept": False, "scale": False, "prior":
        "half-cauchy", "noise": "inverse-gamma", "relation": "order of columns"},
    ),
    "a heavy row beside an unpenalised column": Case(
        310254211, 12, ("sum of two", "plain", "plain", "plain", "plain", "binary", "heavy tails", "one row", "plain",
        "plain", "plain"),
        **ORDINARY | {"layout": "masked", "weights": "one 1e12", "intercept": False, "unpenalized": (10,),
                      "prior_decade": 1, "relation": "order of columns"},
    ),
    "a heavy row and dependent columns": Case(
        1900367172, 12, ("binary", "plain", "zero", "nearly duplicate", "nearly duplicate", "plain", "plain",
        "binary", "plain", "tied", "zero"),
        **ORDINARY | {"weights": "one 1e12", "intercept": False, "scale": False, "prior": "half-t tau", "noise":
        "half-cauchy", "relation": "order of rows"},
    ),
    "quantiles that are one number to rounding": Case(
        1037964944, 40, ("heavy tails", "zero", "binary", "zero", "nearly duplicate"),
        **ORDINARY | {"target": "perfect", "decade_x": -30, "layout": "reversed", "scale": False, "prior":
        "half-t tau", "noise_decade": -1, "relation": "unit of a column"},
    ),
    "sigma that the nodes of lambda see roughly": Case(
        21004947, 2, ("plain", "zero", "plain"),
        **ORDINARY | {"target": "zero", "decade_y": -3, "layout": "list", "weights": "graded", "weight_kind":
        "precision", "prior": "half-normal tau", "prior_decade": 1, "noise_decade": -7, "relation":
        "unit of a column"},
    ),
    "nodes of lambda without density": Case(
        642913184, 2, ("one row",),
        **ORDINARY | {"target": "zero", "decade_y": 3, "weights": "all 1e12", "weight_kind": "precision",
        "intercept": False, "prior": "custom tau", "prior_decade": 8, "noise_decade": -2, "relation":
        "unit of y"},
    ),
    "a column that null directions hardly touch": Case(
        585088622, 6, ("offset 1e6", "plain", "sum of two"),
        **ORDINARY | {"target": "heavy tails", "layout": "read-only", "intercept": False, "prior": "gamma",
        "prior_decade": 10, "noise_decade": 8, "relation": "order of columns"},
    ),
    "null directions by less than the rounding of one, where the rows are the basis": Case(
        1952854980, 2, ("offset 1e6", "plain", "offset 1e6"),
        **ORDINARY | {"graded": 20, "decade_x": -30, "weights": "fractions", "weight_kind": "precision",
        "intercept": False, "prior": "fixed scales", "prior_decade": 10},
    ),
    "all components at one point, but for one without weight far away": Case(
        692237116, 3, ("plain", "nearly duplicate", "heavy tails"),
        **ORDINARY | {"target": "offset 1e8", "decade_y": 3, "layout": "strided", "weights": "counts",
        "intercept": False, "prior": "custom r2", "prior_decade": 7, "relation": "rows repeated"},
    ),
    "a target 1e8 times its noise": Case(
        2039093967, 12, ("constant", "plain", "sum of two", "plain", "one row", "plain", "one row", "tied",
        "heavy tails", "one row", "heavy tails"),
        **ORDINARY | {"target": "offset 1e8", "decade_y": 30, "weights": "counts", "intercept": False, "scale": False,
        "unpenalized": (1, 9), "prior": "custom r2", "noise": "fixed", "relation": "order of columns"},
    ),
    "null directions that hardly touch what an unpenalised column explains": Case(
        2002466504, 6, ("plain", "zero", "plain", "plain", "heavy tails", "one row", "constant", "offset 1e6",
        "sum of two"),
        **ORDINARY | {"target": "noise", "layout": "list", "intercept": False, "unpenalized": (4,),
        "prior": "half-cauchy", "prior_decade": 7, "noise_decade": -7, "relation": "order of columns"},
    ),
    "columns far apart, rounded in the size of the largest": Case(
        518646900, 12, ("constant", "binary", "tied", "sum of two", "sum of two", "heavy tails", "nearly duplicate",
        "plain", "tied", "duplicate", "offset 1e6"),
        **ORDINARY | {"target": "heavy tails", "layout": "integers", "weights": "all 1e12", "intercept": False,
        "scale": False, "unpenalized": (8,), "prior": "gamma precisions", "noise_decade": -4,
        "relation": "order of rows"},
    ),
    "nodes of no weight whose variances leave float64": Case(
        373394998, 3, ("offset 1e6", "offset 1e6", "duplicate"),
        **ORDINARY | {"target": "zero", "decade_x": -8, "decade_y": 8, "layout": "masked", "unpenalized": (2,),
        "prior": "fixed tau", "prior_decade": -5, "noise_decade": -1, "relation": "sign of y"},
    ),
    "a 97.5% point between two sizes of a coefficient": Case(
        233036979, 40, ("one row", "offset 1e6", "plain", "sum of two", "plain"),
        **ORDINARY | {"layout": "list", "intercept": False, "scale": False, "prior_decade": -9, "noise": "fixed",
        "relation": "rows repeated"},
    ),
}  # fmt: skip
