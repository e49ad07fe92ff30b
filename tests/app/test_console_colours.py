"""The page's colours: every text is legible on what it stands on, light and dark."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

CSS = (files("qianshao.app.console") / "static" / "console.css").read_text("utf-8")

TEXT_ON = [
    ("ink", "page"), ("ink", "surface"), ("ink", "sunk"), ("soft", "page"), ("soft", "surface"), ("soft", "sunk"),
    ("link", "page"), ("link", "surface"), ("calm", "surface"), ("outside", "surface"),
    *((tone, f"{tone}-wash") for tone in ("p1", "p2", "p3", "p4", "calm", "watch")),
    *(("ink", f"{tone}-wash") for tone in ("p1", "p2", "p3", "p4", "calm", "watch")),
    *(("soft", f"{tone}-wash") for tone in ("p1", "p2", "p3", "p4", "calm", "watch")),
    *(("calm", f"{tone}-wash") for tone in ("p1", "p2", "p3", "p4", "calm")),
    *(("surface", tone) for tone in ("p1", "p2", "p3", "p4")),
]  # fmt: skip
"""(text, ground) pairs that the style sheet puts together."""

LINES_ON = [("accent", "surface"), ("accent", "band"), ("outside", "band"), ("p1", "surface")]
"""Lines that carry meaning, which need 3:1."""


def palette(dark: bool) -> dict[str, str]:
    light, _, rest = CSS.partition("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    return colours | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", rest)) if dark else colours


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_text_and_lines_stand_out_from_their_ground(dark: bool) -> None:
    colours = palette(dark)
    weak = [(*pair, 4.5) for pair in TEXT_ON if contrast(*(colours[name] for name in pair)) < 4.5]
    weak += [(*pair, 3.0) for pair in LINES_ON if contrast(*(colours[name] for name in pair)) < 3.0]
    assert weak == []


def test_the_style_sheet_loads_nothing_from_elsewhere() -> None:
    assert "url(" not in CSS
    assert "@import" not in CSS
