"""What a check hands on: the one thing that card, report, command line and JSON show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from bayesridge.posteriors.shown import HasTable, ShownCheck

if TYPE_CHECKING:
    import pandas as pd


class Details(HasTable, Protocol):
    """What every check of this package returns, beside its own numbers and arrays."""

    def to_record(self) -> dict[str, Any]: ...  # noqa: D102


@dataclass(frozen=True, eq=False, repr=False)
class Finding(ShownCheck):
    """What was found.

    Attributes
    ----------
    passed : bool
        Whether there is nothing to know of.
    verdict : str
        In words, without a full stop.
    record : mapping
        Numbers for JSON.
    details : object
        The check's own result, which pictures are drawn from.
    """

    passed: bool
    verdict: str
    record: Mapping[str, Any]
    details: Any
    make_table: Callable[[], pd.DataFrame] = field(repr=False)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each thing that was looked at; made when it is asked for."""
        return self.make_table()


def finding_of(details: Details) -> Finding:
    """Return the finding of a check."""
    return Finding(
        details.passed, details.verdict.removesuffix("."), details.to_record(), details, lambda: details.table
    )
