"""Lets the tests of this folder, and the worker processes they start, import its stand-in stages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
