"""Several processes as one cluster: the first starts the others, and they end with it, however it ends."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

from flows.worker import READY, Job
from qianshao.errors import QianshaoError

PEER_SECONDS = 5.0
"""How long another process may take to end by itself after the flow has."""


class _Peer:
    """Another process of the cluster; it ends with this one, however that ends."""

    def __init__(self, job: Job) -> None:
        self.index = job.index
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "flows.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._job = pickle.dumps(job)

    def start(self) -> None:
        """Hand over the job and wait until it is understood."""
        with suppress(BrokenPipeError):  # if it has ended already, the missing answer says so
            self._input.write(self._job)
            self._input.flush()
        if self._output.readline() != READY:
            raise self._failure()

    def check(self, seconds: float) -> None:
        """Give the process time to end.

        Raises
        ------
        QianshaoError
            If it ended badly.
        """
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return  # it is well; the caller ends it
        if code != 0:
            raise self._failure()

    def _failure(self) -> QianshaoError:
        code = self._process.wait(PEER_SECONDS)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = next(
            (line for line in reversed(lines) if line.strip() and not line.startswith((" ", "note:"))), "no output"
        )
        return QianshaoError(f"worker process {self.index}: ended with code {code} ({said}); start again")

    def end(self) -> None:
        """End the process now, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._output, self._errors):
            stream.close()
        with suppress(BrokenPipeError):  # it may have ended before it had read everything
            self._input.close()


@contextmanager
def stopped_by(stop: Callable[[], None], *numbers: int) -> Iterator[None]:
    """Let signals end the input instead of breaking the engine; a second one of a kind breaks it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}

    def interrupt(number: int, frame: FrameType | None) -> None:
        stop()
        signal.signal(number, before[number])

    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_addresses(count: int) -> list[str]:
    with ExitStack() as stack:
        bound = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in bound:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in bound]


def run_cluster(run: Callable[[], None], jobs: Sequence[Job]) -> None:
    peers: list[_Peer] = []
    try:
        peers += (_Peer(job) for job in jobs)
        for peer in peers:
            peer.start()
        try:
            run()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # the engine panics when a peer is lost; say which
            for peer in peers:
                peer.check(PEER_SECONDS)
            raise QianshaoError(f"the dataflow engine broke off ({error}); start again") from error
        for peer in peers:
            peer.check(PEER_SECONDS)
    finally:
        for peer in peers:
            peer.end()
