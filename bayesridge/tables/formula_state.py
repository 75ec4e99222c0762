"""What a fitted formula learnt, as plain data, and the formula made again from it: no pickle, nothing is executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from bayesridge.errors import DataError, ModelFileError
from bayesridge.tables.blocks import Blocks, Factor, LevelEffects, SmoothColumns
from bayesridge.tables.formula import FormulaSpec, _Side
from bayesridge.tables.smooth import Spline
from bayesridge.tables.specials import Effects, Smooth, take_specials
from bayesridge.tables.terms import parse_formula

_WRITTEN = {"literal": "{}", "lookup": "`{}`", "python": "{{{}}}"}  # how formulaic reads each kind of factor


def formula_state(spec: FormulaSpec) -> dict[str, Any]:
    """Return all that predictions need of a fitted formula, as JSON can say it.

    Raises
    ------
    DataError
        If it learnt something that is not numbers, text or lists of them.
    """
    model = spec._side.model
    return {
        "formula": spec.formula,
        "terms": [
            {
                "factors": [[factor.eval_method.value, factor.expr] for factor in row.term.factors],
                "scoped": [
                    [float(one.scale), [[part.factor.expr, bool(part.reduced)] for part in one.factors]]
                    for one in row.scoped_terms
                ],
                "columns": [str(name) for name in row.columns],
            }
            for row in model.structure
        ],
        "transforms": _plain(dict(model.transform_state)),
        "encoders": {expr: [kind.value, _plain(state)] for expr, (kind, state) in model.encoder_state.items()},
        "variables": list(spec.variables),
        "kinds": dict(spec._kinds), "blocks": _blocks_state(spec.blocks),
    }  # fmt: skip


def formula_from_state(state: Mapping[str, Any]) -> FormulaSpec:
    """Make a fitted formula again; its terms pass the same grammar as those that a user writes.

    Raises
    ------
    ModelFileError
        If the state does not describe a formula.
    """
    from formulaic import ModelSpec
    from formulaic.materializers.base import EncodedTermStructure
    from formulaic.materializers.types import EvaluatedFactor, NAAction, ScopedFactor, ScopedTerm
    from formulaic.parser.types import Factor

    written = [":".join(_WRITTEN[kind].format(expr) for kind, expr in term["factors"]) for term in state["terms"]]
    _, texts = take_specials(str(state["formula"]), ("|", "s"))
    try:
        _, right, uses, specials, _ = parse_formula(" + ".join(["0", *written, *texts]), tuple(state["variables"]))
    except DataError as error:
        raise ModelFileError(f"the formula of the saved model cannot be read: {error}") from error
    parsed = {tuple(factor.expr for factor in term.factors): term for term in right}
    factors = {factor.expr: EvaluatedFactor(factor, None) for term in right for factor in term.factors}
    structure = [
        EncodedTermStructure(
            parsed[tuple(expr for _, expr in term["factors"])],
            [
                ScopedTerm([ScopedFactor(factors[expr], bool(reduced)) for expr, reduced in parts], float(scale))
                for scale, parts in term["scoped"]
            ],
            [str(name) for name in term["columns"]],
        )
        for term in state["terms"]
    ]
    model = ModelSpec(
        right, materializer="pandas", materializer_params={}, na_action=NAAction.IGNORE, output="numpy",
        structure=structure, transform_state=_made(state["transforms"]),
        encoder_state={
            expr: (Factor.Kind(kind), _made(learnt)) for expr, (kind, learnt) in state["encoders"].items()
        },
    )  # fmt: skip
    side = _Side.of_model(model, uses)
    own = tuple(map(str, state["variables"]))
    kinds = {name: str(state["kinds"][name]) for name in own}
    blocks = _blocks(specials, state["blocks"]) if "blocks" in state else Blocks()  # older files have none
    return FormulaSpec.of(str(state["formula"]), side, own, kinds, blocks)


def _blocks_state(blocks: Blocks) -> dict[str, Any]:
    """What special terms learnt, in the order in which the formula has them."""
    return {
        "effects": [one.factor.levels for one in blocks.effects], "names": [one.term.name for one in blocks.effects],
        "smooths": [
            {
                "range": [one.splines[0].low, one.splines[0].high],
                "lines": [part.line.tolist() for part in one.splines],
                "centres": [part.centre for part in one.splines],
                "levels": None if one.factor is None else one.factor.levels,
            }
            for one in blocks.smooths
        ],
        "ridges": dict(blocks.ridges),
    }  # fmt: skip


def _blocks(terms: Sequence[Effects | Smooth], state: Mapping[str, Any]) -> Blocks:
    levels = [tuple([tuple(map(str, level)) for level in one]) for one in state["effects"]]
    effects = [
        LevelEffects(replace(term, name=str(name)), Factor(term.by, known))
        for term, name, known in zip(
            [one for one in terms if isinstance(one, Effects)], state["names"], levels, strict=True
        )
    ]
    smooths = []
    for term, one in zip([one for one in terms if isinstance(one, Smooth)], state["smooths"], strict=True):
        low, high = map(float, one["range"])
        splines = [
            Spline(term.size, low, high, np.array(line, dtype=np.float64), float(centre))
            for line, centre in zip(one["lines"], one["centres"], strict=True)
        ]
        known = None if one["levels"] is None else tuple([tuple(map(str, level)) for level in one["levels"]])
        factor = None if known is None or term.by is None else Factor((term.by,), known)
        smooths.append(SmoothColumns(term, tuple(splines), factor))
    ridges = {str(name): tuple(map(str, owned)) for name, owned in state["ridges"].items()}
    return Blocks(tuple(effects), tuple(smooths), ridges)


def _codings() -> dict[str, Any]:
    """The classes that say how categories are coded: data classes of plain values."""
    from formulaic.transforms import contrasts

    return {
        name: getattr(contrasts, name)
        for name in (
            "ContrastsState", "TreatmentContrasts", "SASContrasts", "SumContrasts", "HelmertContrasts",
            "DiffContrasts", "PolyContrasts",
        )
    }  # fmt: skip


def _plain(value: Any) -> Any:
    """Say with JSON what a transform or a coding learnt."""
    import pandas as pd
    from formulaic.utils.sentinels import UNSET

    if value is UNSET:
        return {"unset": True}
    if isinstance(value, (pd.Timestamp, np.datetime64)):
        return {"time": pd.Timestamp(value).isoformat()}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"array": value.tolist()}
    if isinstance(value, (list, tuple)):
        return {"list" if isinstance(value, list) else "tuple": [_plain(one) for one in value]}
    if isinstance(value, Mapping):
        return {"items": [[_plain(key), _plain(one)] for key, one in value.items()]}
    name = type(value).__name__
    if _codings().get(name) is type(value):
        return {"coding": name, "of": {field.name: _plain(getattr(value, field.name)) for field in fields(value)}}
    raise DataError(
        f"the formula learnt a {name} ({value!r}), which a saved model cannot hold: make that column text or numbers"
    )


def _made(data: Any) -> Any:
    """Invert :func:`_plain`."""
    import pandas as pd
    from formulaic.utils.sentinels import UNSET

    if not isinstance(data, dict):
        return data
    match data:
        case {"unset": True}:
            return UNSET
        case {"time": str(text)}:
            return pd.Timestamp(text)
        case {"array": list(values)}:
            return np.array(values)
        case {"list": list(values)}:
            return [_made(one) for one in values]
        case {"tuple": list(values)}:
            return tuple(_made(one) for one in values)
        case {"items": list(pairs)}:
            return {_made(key): _made(one) for key, one in pairs}
        case {"coding": str(name), "of": dict(values)} if name in _codings():
            return _codings()[name](**{key: _made(one) for key, one in values.items()})
    raise ModelFileError(f"the formula of the saved model holds {str(data)[:80]}, which no transform learns")
