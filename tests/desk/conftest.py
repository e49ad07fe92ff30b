"""Lets the tests of this folder import what they all build findings with."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
