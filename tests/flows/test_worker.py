"""A process of a flow keeps to one core."""

from __future__ import annotations

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource
from threadpoolctl import threadpool_info, threadpool_limits

from flows.worker import run_flow


def _threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_matrix_products_take_one_thread_of_each_process() -> None:
    seen: list[int] = []
    flow = Dataflow("threads")
    lines = op.input("read", flow, TestingSource([1]))
    threads = op.flat_map("ask", lines, lambda _: _threads())
    op.output("write", threads, TestingSink(seen))
    with threadpool_limits(limits=2, user_api="blas"):
        run_flow(flow, [], 0)
    assert seen
    assert set(seen) == {1}
