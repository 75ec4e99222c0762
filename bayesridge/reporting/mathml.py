"""The report's formulas as MathML, which every browser draws without help."""

from __future__ import annotations


def mi(name: str) -> str:
    """Identifier."""
    return f"<mi>{name}</mi>"


def mn(value: str) -> str:
    """Number."""
    return f"<mn>{value}</mn>"


def mo(sign: str) -> str:
    """Operator."""
    return f"<mo>{sign}</mo>"


def row(*parts: str) -> str:
    """Group."""
    return f"<mrow>{''.join(parts)}</mrow>"


def sub(base: str, index: str) -> str:
    """Subscript."""
    return f"<msub>{base}{index}</msub>"


def sup(base: str, power: str) -> str:
    """Superscript."""
    return f"<msup>{base}{power}</msup>"


def subsup(base: str, index: str, power: str) -> str:
    """Subscript and superscript."""
    return f"<msubsup>{base}{index}{power}</msubsup>"


def frac(top: str, bottom: str) -> str:
    """Fraction."""
    return f"<mfrac>{top}{bottom}</mfrac>"


def total(index: str) -> str:
    """Sum sign over an index."""
    return f"<munder>{mo('∑')}{mi(index)}</munder>"


def hat(name: str) -> str:
    """Estimate."""
    return f"<mover>{mi(name)}{mo('^')}</mover>"


def normal(variance: str) -> list[str]:
    """Distributed as N(0, variance)."""
    return [mo("&#x223C;"), mi("N"), mo("("), mn("0"), mo(","), variance, mo(")")]


def formula(name: str, *parts: list[str]) -> str:
    """Return a displayed formula; its parts stand side by side, or below each other where the screen is narrow.

    Parameters
    ----------
    name : str
        What it is, for those who listen.
    *parts : list of str
    """
    made = "".join([f'<math display="block">{row(*part)}</math>' for part in parts])
    return f'<div class="formula" role="group" aria-label="{name}">{made}</div>'


LAMBDA, SIGMA2, TAU2 = mi("λ"), sup(mi("σ"), mn("2")), sup(mi("τ"), mn("2"))
_I, _J = mi("i"), mi("j")
_S2 = subsup(mi("s"), _J, mn("2"))
_S2_LAMBDA = row(_S2, mo("+"), LAMBDA)
_XB = row(subsup(mi("x"), _I, mo("′")), mi("β"))
_NORM = sup(row(mo("|"), mi("β"), mo("|")), mn("2"))
_Y, _E, _B0 = sub(mi("y"), _I), sub(mi("e"), _I), sub(mi("b"), mn("0"))

MODEL = formula(
    "the model",
    [_Y, mo("="), _B0, mo("+"), _XB, mo("+"), _E],
    [_E, *normal(SIGMA2)],
    [sub(mi("β"), _J), *normal(TAU2)],
    [LAMBDA, mo("="), frac(SIGMA2, TAU2)],
)

CRITERION = formula(
    "the ridge criterion",
    [total("i"), sub(mi("w"), _I), sup(row(mo("("), _Y, mo("−"), _B0, mo("−"), _XB, mo(")")), mn("2")), mo("+"),
     LAMBDA, _NORM],
)  # fmt: skip

SOLUTION = formula(
    "the ridge solution in spectral form",
    [mi("X"), mo("="), mi("U"), mi("diag"), mo("("), mi("s"), mo(")"), sup(mi("V"), mo("′"))],
    [mi("z"), mo("="), sup(mi("U"), mo("′")), mi("y")],
    [hat("β"), mo("="), total("j"), frac(row(sub(mi("s"), _J), sub(mi("z"), _J)), _S2_LAMBDA), sub(mi("v"), _J)],
)

FILTER = formula(
    "filter factors and effective degrees of freedom",
    [sub(mi("f"), _J), mo("="), frac(_S2, _S2_LAMBDA)],
    [mi("dof"), mo("="), total("j"), sub(mi("f"), _J)],
)

POSTERIOR = formula(
    "the posterior of lambda",
    [mi("p"), mo("("), LAMBDA, mo("|"), mi("y"), mo(")"), mo("∝"), mi("p"), mo("("), LAMBDA, mo(")"),
     f"<munder>{mo('∏')}{_J}</munder>",
     sup(row(mo("("), mn("1"), mo("+"), frac(_S2, LAMBDA), mo(")")), row(mo("−"), mn("1"), mo("/"), mn("2"))),
     mi("Q"), sup(row(mo("("), LAMBDA, mo(")")), row(mo("−"), mi("ν"), mo("/"), mn("2")))],
    [mi("Q"), mo("="), sub(mi("r"), mn("0")), mo("+"), total("j"), subsup(mi("z"), _J, mn("2")),
     frac(LAMBDA, _S2_LAMBDA)],
)  # fmt: skip

LEAVE_ONE_OUT = formula(
    "leave-one-out residual",
    [_Y, mo("−"), sub(hat("y"), row(mo("−"), _I)), mo("="), frac(_E, row(mn("1"), mo("−"), sub(mi("h"), _I)))],
)

DECAY = formula(
    "one step of gradient descent on the penalty alone",
    [mi("w"), mo("←"), mi("w"), mo("−"), mi("a"), mo("·"), mn("2"), LAMBDA, mi("w"), mo("="), mo("("), mn("1"),
     mo("−"), mn("2"), mi("a"), LAMBDA, mo(")"), mi("w")],
)  # fmt: skip
