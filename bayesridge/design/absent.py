"""What stands where the rows of the data were, in a model that was saved without them."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from bayesridge.errors import RowsAbsentError

_NOT_SAVED = "the model was saved without them: save it with rows=True, or fit again"


class AbsentRows(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of which only the shape is known: whatever asks for a number gets the reason why there is none.

    Parameters
    ----------
    shape : tuple of int
    why : str
        Why they are not there, and what to do.
    """

    def __init__(self, shape: tuple[int, ...], why: str = _NOT_SAVED) -> None:
        self.shape, self.why = shape, why

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"AbsentRows({self.shape})"

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise RowsAbsentError(
            "this needs the rows of the data (leave-one-out, residuals, simulated data and other rules for lambda do), "
            f"and {self.why}"
        )

    __array__ = __array_ufunc__ = __array_function__ = __getitem__ = __iter__ = _refuse

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copies and pickles ask for what is not there
            raise AttributeError(name)
        self._refuse()
