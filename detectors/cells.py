"""Which cells of the dimension lattice an event is counted in, parents before children."""

from __future__ import annotations

from itertools import combinations

from qianshao.event import MAX_OWN_DIMS, Observation

Cell = tuple[tuple[str, str], ...]
"""A combination of dimensions: pairs (dimension, value), sorted by dimension."""

Signature = tuple[tuple[str, str], ...]

_LINE_SHARD: tuple[tuple[str, ...], ...] = (
    ("line",),
    ("line", "product"),
    ("line", "region"),
    ("line", "channel"),
    ("line", "firmware"),
    ("line", "product", "model"),
    ("line", "product", "firmware"),
    ("line", "product", "region"),
    ("line", "product", "channel"),
    ("line", "product", "model", "firmware"),
    ("line", "product", "firmware", "region"),
    ("line", "product", "model", "region"),
)
_ROOT_SHARD: tuple[tuple[str, ...], ...] = (
    (),
    ("line",),
    ("region",),
    ("channel",),
    ("channel", "region"),
)


def signature(observation: Observation) -> Signature:
    """Return the dimensions that an observation carries, as sorted pairs: equal signatures share their cells."""
    pairs = [
        (name, value)
        for name, value in (
            ("channel", observation.channel),
            ("firmware", observation.firmware),
            ("line", observation.line),
            ("model", observation.model),
            ("product", observation.product),
            ("region", observation.region),
        )
        if value
    ]
    if observation.dims:
        own = sorted(observation.dims.items())[:MAX_OWN_DIMS]
        pairs.extend((name, value) for name, value in own if value)
        pairs.sort()
    return tuple(pairs)


def cells_of(signed: Signature, *, root: bool, everybody: bool = False) -> list[tuple[Cell, int]]:
    """List the cells that a signature counts in, each with the index of its parent in the list (−1 = none).

    A line shard counts the combinations below a business line; the root shard those that cross lines, but `everybody`
    in all of them, since a cause found across lines is placed by who is ordinarily seen where. `everybody` is counted
    by region or channel and the events' own dimensions together, and by each two of those, too: a warehouse that serves
    a region, a shop that stands in a city, a version that one channel has, is no second place. The parent is the
    largest earlier cell that the cell refines, so a sparse cell can start from its parent's level.

    >>> cells_of((("line", "家居"), ("product", "门锁"), ("region", "华东")), root=False)[1]
    ((('line', '家居'), ('product', '门锁')), 0)
    """
    values = dict(signed)
    own = [name for name, _ in signed if name not in _COMMON]
    groups: list[tuple[str, ...]] = []
    if root:
        groups.extend(_ROOT_SHARD)
        groups.extend(group for name in own for group in ((name,), ("channel", name)))
    if everybody or not root:
        groups.extend(_LINE_SHARD)
        groups.extend(group for name in own for group in (("line", name), ("line", "product", name)))
    if everybody:
        groups.extend(
            ("line", *product, where, name)
            for name in own
            for where in ("region", "channel")
            for product in ((), ("product",))
        )
        groups.extend(group for pair in combinations(own, 2) for group in (("line", *pair), ("line", "product", *pair)))
    if everybody and root:
        groups.extend(("region", name) for name in own)
        groups.extend(combinations(own, 2))
    cells: list[tuple[Cell, int]] = []
    for group in sorted(dict.fromkeys(groups), key=len):
        if any(name not in values for name in group):
            continue
        cell = tuple(sorted((name, values[name]) for name in group))
        members = set(cell)
        parent = -1
        for index, (earlier, _) in enumerate(cells):
            if members.issuperset(earlier) and (parent < 0 or len(earlier) >= len(cells[parent][0])):
                parent = index
        cells.append((cell, parent))
    return cells


_COMMON = frozenset(("channel", "firmware", "line", "model", "product", "region"))
