"""Make sensor.csv: a calibration run of a low-cost CO2 sensor, simulated, so that the truth is known.

A sensor and a reference instrument stand in one cabinet. The sensor's error (its reading less the
reference's, in ppm) is to be predicted from the conditions. The air in the cabinet is hardly exchanged, so
that relative humidity falls as temperature rises and the two are almost collinear (r about -0.97): least
squares hardly tells their effects apart.

    error = -62 + 0.30 temperature - 0.10 humidity + 0.05 pressure + 0 supply_voltage + 0.010 age_days + e
    e ~ N(0, 2^2), in ppm

The error is computed from the rounded predictors, so that the equation holds for the numbers in the file.
Run ``python -m bayesridge.data.make_sensor`` to write it, with ``--check`` to compare it.
"""

import io
import sys

import numpy as np

from bayesridge.data._files import write_or_check

SEED = 2026
ROWS = 120
INTERCEPT = -62.0  # ppm
NOISE_SD = 2.0  # ppm
COEFFICIENTS = {
    "temperature": 0.30,  # ppm per degree Celsius
    "humidity": -0.10,  # ppm per percentage point of relative humidity
    "pressure": 0.05,  # ppm per hPa
    "supply_voltage": 0.0,  # ppm per V: no effect
    "age_days": 0.010,  # ppm per day
}


def table() -> dict[str, np.ndarray]:
    """Return the columns by name, the target ``error`` last."""
    rng = np.random.default_rng(SEED)
    temperature = rng.uniform(12.0, 38.0, ROWS).round(1)
    humidity = (88.0 - 1.9 * (temperature - 12.0) + rng.normal(0.0, 3.0, ROWS)).round(1)
    columns = {
        "temperature": temperature,
        "humidity": humidity,
        "pressure": rng.normal(1013.0, 8.0, ROWS).round(1),
        "supply_voltage": rng.normal(5.0, 0.05, ROWS).round(3),
        "age_days": np.floor(rng.uniform(0.0, 366.0, ROWS)),
    }
    mean = INTERCEPT + sum(COEFFICIENTS[name] * values for name, values in columns.items())
    columns["error"] = (mean + rng.normal(0.0, NOISE_SD, ROWS)).round(2)
    return columns


def to_csv(columns: dict[str, np.ndarray]) -> str:
    """Format the columns with the decimals that they were rounded to."""
    decimals = {"supply_voltage": 3, "age_days": 0, "error": 2}
    text = io.StringIO()
    np.savetxt(
        text,
        np.column_stack(list(columns.values())),
        fmt=[f"%.{decimals.get(name, 1)}f" for name in columns],
        delimiter=",",
        header=",".join(columns),
        comments="",
    )
    return text.getvalue()


def tables() -> dict[str, str]:
    """Return file name and CSV text."""
    return {"sensor.csv": to_csv(table())}


if __name__ == "__main__":
    sys.exit(write_or_check(tables()))
