"""Export diabetes.csv (from scikit-learn) and longley.csv (from statsmodels).

Run ``python -m bayesridge.data.make_tables`` to write them, with ``--check`` to compare them.
"""

import sys

import pandas as pd

from bayesridge.data._files import write_or_check


def diabetes() -> pd.DataFrame:
    """Return the diabetes table in its original units, the target last."""
    from sklearn.datasets import load_diabetes

    frame: pd.DataFrame = load_diabetes(as_frame=True, scaled=False).frame
    return frame.rename(columns={"target": "progression"})


def longley() -> pd.DataFrame:
    """Return Longley's table, the target first as statsmodels has it."""
    from statsmodels.datasets import longley as source

    frame: pd.DataFrame = source.load_pandas().data
    return frame


def to_csv(frame: pd.DataFrame) -> str:
    """Format a table; columns of whole numbers are written without a decimal point."""
    whole = [name for name in frame if (frame[name] == frame[name].round()).all()]
    return frame.astype(dict.fromkeys(whole, "int64")).to_csv(index=False, lineterminator="\n")


def tables() -> dict[str, str]:
    """Return file name and CSV text of each table."""
    return {"diabetes.csv": to_csv(diabetes()), "longley.csv": to_csv(longley())}


if __name__ == "__main__":
    sys.exit(write_or_check(tables()))
