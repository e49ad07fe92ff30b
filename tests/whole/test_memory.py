"""Memory does not grow with the length of a log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MEASURED = """
import json, resource, sys
from qianshao.app.cli import main

code = main(sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps(peak), file=sys.stderr)
sys.exit(code)
"""


def run(*arguments: object) -> tuple[str, int]:
    """Run one command in a process of its own; return its standard output and its peak memory in bytes."""
    command = [sys.executable, "-c", MEASURED, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=1_800, check=True, env={**os.environ})
    return ran.stdout, int(ran.stderr.split()[-1])


def replayed(tmp_path: Path, hours: int) -> tuple[int, int]:
    """Replay a world of so many hours; return its records and the peak memory in bytes."""
    world = tmp_path / f"world{hours}"
    run("world", "--seed", 5, "--hours", hours, "--rate", 0.4, "--out", world)
    summary, peak = run("replay", world / "events.jsonl.gz", "--out", tmp_path / f"out{hours}", "--json")
    return json.loads(summary)["read"], peak


@pytest.mark.slow
def test_ten_times_the_log_needs_nearly_the_same_memory(tmp_path: Path) -> None:
    (few, short), (many, long) = replayed(tmp_path, 24), replayed(tmp_path, 240)
    assert many > 8 * few
    assert long < 1.5 * short, f"{short / 2**20:.0f} MB for {few:,} records, {long / 2**20:.0f} MB for {many:,}"
