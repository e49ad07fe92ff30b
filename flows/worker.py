"""Another process of a cluster: it understands and counts, and owns nothing outside."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main, run_main  # the engine's only public name for running in one's own process
from threadpoolctl import threadpool_limits

from flows.engine import build_flow
from flows.pipeline import Stages
from qianshao.config import Config

MakeStages = Callable[[Config, Path | None], Stages]
"""Builds the stages in whichever process calls it, from the configuration and the calendar's path."""

EPOCH = timedelta(seconds=10)
"""Each end of an epoch drains the whole flow, with the reader spinning."""

READY = b"ready\n"


@dataclass(frozen=True)
class Saving:
    """Where and how often the state of a flow is saved."""

    snapshots: Path
    seconds: int

    def prepare(self) -> None:
        """Make the folder of snapshots, if it is not there."""
        self.snapshots.mkdir(exist_ok=True)
        if not any(self.snapshots.iterdir()):
            init_db_dir(self.snapshots, 1)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Job:
    """All that a worker process needs to build the same flow as the first one."""

    index: int
    addresses: list[str]
    sources: tuple[str, ...]
    config: Config
    calendar: Path | None
    make_stages: MakeStages
    saving: Saving | None = None


def run_flow(flow: Dataflow, addresses: Sequence[str], index: int, saving: Saving | None = None) -> None:
    """Run this process's part of a flow until the whole of it has ended; with one address or none, all of it.

    With `saving`, it goes on from the newest snapshot that all processes finished.
    """
    epoch = EPOCH if saving is None else timedelta(seconds=saving.seconds)
    recovery = None if saving is None else RecoveryConfig(saving.snapshots)  # type: ignore[no-untyped-call]
    # Processes are how the cores are shared out: in each, the waiting threads of matrix products only cost time.
    with threadpool_limits(limits=1, user_api="blas"):
        if len(addresses) < 2:
            run_main(flow, epoch_interval=epoch, recovery_config=recovery)  # type: ignore[no-untyped-call]
        else:
            cluster_main(  # type: ignore[no-untyped-call]
                flow, list(addresses), index, epoch_interval=epoch, recovery_config=recovery
            )


def main() -> None:
    """Take a `Job` from standard input, say that it is understood, and run until the flow has ended.

    Standard input stays open as long as the first process lives; when it ends, so does this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first process decides
    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one, not from disk
    flow = build_flow(
        None,
        job.sources,
        job.make_stages(job.config, job.calendar),
        job.config,
        workers=len(job.addresses),
        durable=job.saving is not None,
    )
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    run_flow(flow, job.addresses, job.index, job.saving)


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not the buffered reader: its lock would break the end of the interpreter
    os._exit(1)


if __name__ == "__main__":
    main()
