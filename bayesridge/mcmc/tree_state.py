"""A DataTree as facts and arrays, for model files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesridge.design.design import State

if TYPE_CHECKING:
    import xarray as xr

_STORED = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}


def tree_state(tree: xr.DataTree, *, rows: bool) -> State:
    """Say what a DataTree is; groups with a number for each row of the data only if asked for."""
    groups: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for group, node in tree.children.items():
        data = node.to_dataset()
        if "obs" in data.dims and not rows:
            continue
        variables: dict[str, Any] = {}
        for name, values in data.variables.items():
            about: dict[str, Any] = {
                "dims": list(values.dims),
                "attrs": _plain(values.attrs),
                "coord": name in data.coords,
            }
            kind = _STORED.get(values.dtype.kind)
            if kind is None:
                about["values"] = [str(one) for one in values.values.ravel()]
            else:
                about["dtype"] = values.dtype.str
                arrays[f"{group}.{name}"] = np.ascontiguousarray(values.values, dtype=kind)
            variables[str(name)] = about
        groups[group] = {"attrs": _plain(data.attrs), "variables": variables}
    return {"attrs": _plain(tree.attrs), "groups": groups}, arrays


def tree_from_state(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> xr.DataTree:
    """Make the DataTree of its state."""
    import xarray as xr

    made = {}
    for group, about in facts["groups"].items():
        parts: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for name, one in about["variables"].items():
            if "values" in one:
                values = np.array(one["values"], dtype=object)
            else:
                values = arrays[f"{group}.{name}"].astype(np.dtype(one["dtype"]))
            parts[bool(one["coord"])][name] = (tuple(one["dims"]), values, dict(one["attrs"]))
        made[group] = xr.Dataset(*parts, attrs=dict(about["attrs"]))
    tree: xr.DataTree = xr.DataTree.from_dict(made)
    tree.attrs = dict(facts["attrs"])
    return tree


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): one.item() if isinstance(one, np.generic) else one for name, one in attrs.items()}
