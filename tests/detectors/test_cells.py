"""Which cells of the lattice an event is counted in."""

from __future__ import annotations

from detectors.cells import Cell, cells_of

SHOP = (("city", "武汉"), ("line", "到家"), ("product", "外卖"), ("store", "武汉3店"))


def counted(*, root: bool, everybody: bool) -> set[Cell]:
    return {cell for cell, _ in cells_of(SHOP, root=root, everybody=everybody)}


def test_everybody_is_counted_by_two_of_the_events_own_dimensions_together() -> None:
    shop_in_its_city = (("city", "武汉"), ("line", "到家"), ("store", "武汉3店"))
    assert shop_in_its_city in counted(root=False, everybody=True)
    assert (("city", "武汉"), ("store", "武汉3店")) in counted(root=True, everybody=True)


def test_everybody_is_counted_by_channel_and_own_dimension_together() -> None:
    signed = (("app_version", "8.5.0"), ("channel", "app"), ("line", "到家"))
    for root in (False, True):
        assert signed in {cell for cell, _ in cells_of(signed, root=root, everybody=True)}


def test_what_is_said_is_counted_by_one_of_them_only() -> None:
    own = {"city", "store"}
    for root in (False, True):
        assert all(len(own & {name for name, _ in cell}) <= 1 for cell in counted(root=root, everybody=False))


def test_a_parent_is_a_broader_cell_that_stands_before() -> None:
    cells = cells_of(SHOP, root=False, everybody=True)
    assert all(-1 <= parent < index for index, (_, parent) in enumerate(cells))
    assert all(set(cells[parent][0]) < set(cell) for cell, parent in cells if parent >= 0)
