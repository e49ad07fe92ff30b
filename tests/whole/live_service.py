"""A service over given topics that ends when everything produced has been decided: run by tests, and killed by them.

Usage: live_service.py CONFIG OUT RECORDS UNTIL — ends once RECORDS records were read and the watermark has reached
UNTIL (epoch milliseconds).
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows.live import StateFolder, run_live
from qianshao.config import load_config
from qianshao.outcome import Outcome
from sinks.files import JsonLines
from sinks.push_queue import PushQueue


def main(config_path: Path, out: Path, records: int, until: int) -> None:
    config = load_config(config_path)
    stops = []
    read = 0

    def observe(outcome: Outcome) -> None:
        nonlocal read
        read = max(read, sum(tally.read for tally in outcome.tallies))
        if read >= records and outcome.watermark >= until:
            stops[0]()

    out.mkdir(exist_ok=True)
    state = StateFolder(Path(config.run.state), config.pipeline.shards)
    zone = config.service.zone
    sinks = [JsonLines(out, zone), PushQueue(out / "push_queue.sqlite3", zone)]
    run_live(config, state, sinks, observe=observe, started=stops.append)
    state.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
