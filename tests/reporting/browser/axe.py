"""axe-core, where it is there."""

import os
from pathlib import Path

import pytest

_PLACES = (os.environ.get("BAYESRIDGE_AXE", ""), "node_modules/axe-core/axe.min.js")
AXE = next((path for path in _PLACES if Path(path).is_file()), None)


def axe_violations(tab):
    """What axe-core finds: rules violated, with the first element of each."""
    tab.evaluate(Path(AXE).read_text(encoding="utf-8"))
    return tab.evaluate("async () => (await axe.run()).violations.map((v) => [v.id, v.nodes[0].html.slice(0, 200)])")


needs_axe = pytest.mark.skipif(
    AXE is None, reason="no axe-core: npm install --no-save axe-core, or name its axe.min.js in BAYESRIDGE_AXE"
)
