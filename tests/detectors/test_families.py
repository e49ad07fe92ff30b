"""Names inside device messages: what many devices teach about one place of a template."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_lines import FORMATS, lines

from detectors.families import TemplateFamilies
from models.template import message_template

NAMES = ["anna", "bo", "chen", "dan", "eva", "fang", "guo", "han", "ivy", "jun"]


def said(families: TemplateFamilies, messages: Iterable[str], *, first_device: int = 1) -> list[str]:
    return [families.of(message, device) for device, message in enumerate(messages, start=first_device)]


def grouped(pairs: list[tuple[int, str]]) -> tuple[float, int]:
    """Share of lines whose template holds exactly the lines of their format, and templates that hold several."""
    templates: dict[str, Counter[int]] = defaultdict(Counter)
    formats: dict[int, set[str]] = defaultdict(set)
    for number, template in pairs:
        templates[template][number] += 1
        formats[number].add(template)
    right = sum(len(formats[number]) == 1 and len(templates[template]) == 1 for number, template in pairs)
    return right / len(pairs), sum(len(each) > 1 for each in templates.values())


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_lines_of_known_formats_are_grouped_by_format(seed: int) -> None:
    log = lines(seed, 20)
    assert len(FORMATS) >= 30
    assert len(log) >= 200
    alone = [(number, message_template(message)) for number, message in log]
    families = TemplateFamilies()
    for device, (_, template) in enumerate(alone, start=1):
        families.of(template, device)
    together = [(number, families.of(template, device)) for device, (number, template) in enumerate(alone, start=1)]
    assert grouped(alone)[0] >= 0.75
    right, mixed = grouped(together)
    assert right >= 0.88
    assert mixed == 1  # a status such as 503 is a number like any other


def test_a_place_with_eight_names_holds_a_name() -> None:
    families = TemplateFamilies()
    written = said(families, [f"album of {name} not synced" for name in NAMES])
    assert written[6] == "album of guo not synced"
    assert written[7:] == ["album of * not synced"] * 3


def test_parts_that_many_devices_name_stay_apart() -> None:
    families = TemplateFamilies()
    parts = ["fan", "pump", "valve", "heater", "sensor", "door", "lamp", "motor", "belt"]
    written = said(families, [f"part {part} has stalled" for part in parts for _ in range(3)])
    assert "part * has stalled" not in written


def test_values_that_say_what_failed_are_never_names() -> None:
    families = TemplateFamilies()
    written = said(families, [f"join of network failed reason={name}" for name in NAMES])
    written += said(families, [f"join of network failed E{number}" for number in range(20, 30)])
    assert not any("*" in template for template in written)


def test_one_device_makes_no_family() -> None:
    families = TemplateFamilies()
    written = [families.of(f"door lock {word} stuck", 5) for word in (f"w{chr(97 + n % 26)}{n}x" for n in range(300))]
    assert "door lock * stuck" not in written
    assert families.of("door lock bolt stuck", 6) == "door lock bolt stuck"


def test_two_names_in_one_message_are_found_where_one_repeats() -> None:
    families = TemplateFamilies()
    shares = [f"share from {one} to {other} refused" for one in NAMES[:9] for other in NAMES[:9]]
    written = said(families, shares)
    assert written[-1] == "share from * to * refused"


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.families.MAX_SKELETONS", 50)
    monkeypatch.setattr("detectors.families.MAX_FAMILIES", 5)
    families = TemplateFamilies()
    said(families, (f"alpha{n} beta{n % 7} gamma{n % 3} of {name}" for n in range(300) for name in NAMES))
    state = families.snapshot()
    assert len(state["words"]) <= 50
    assert len(state["families"]) <= 5


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 400))
def test_a_restored_state_goes_on_as_if_uninterrupted(seed: int, cut: int) -> None:
    rng = random.Random(seed)
    log = [(message_template(message), rng.randrange(1, 60)) for _, message in lines(seed, 12)]
    whole, restored = TemplateFamilies(), TemplateFamilies()
    for template, device in log[:cut]:
        whole.of(template, device)
    restored.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(whole.snapshot())))
    assert [restored.of(*each) for each in log[cut:]] == [whole.of(*each) for each in log[cut:]]
    assert restored.snapshot() == whole.snapshot()
