"""Tests of outcomes share the module `dense`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
