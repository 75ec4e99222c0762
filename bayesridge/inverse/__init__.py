"""Linear inverse problems: derivative penalties, other filters, convolutions, and the problems they are tested on."""

from bayesridge.inverse.convolution import Deblurred, deblur
from bayesridge.inverse.filters import Filtered, filter_path
from bayesridge.inverse.problems import InverseProblem, inverse_problem
from bayesridge.inverse.tikhonov import differences, tikhonov

__all__ = [
    "Deblurred",
    "Filtered",
    "InverseProblem",
    "deblur",
    "differences",
    "filter_path",
    "inverse_problem",
    "tikhonov",
]
