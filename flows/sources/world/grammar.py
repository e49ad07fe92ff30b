"""A small grammar with slots: templates are compiled once and spoken with a seeded generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

Maker = Callable[[Random], str]
"""Something that invents a value when it is spoken: a phone number, an amount, an hour."""


class Slot(str):
    """The name of a slot inside a compiled template."""

    __slots__ = ()


Template = tuple[object, ...]
"""A compiled template: literals, slots, and alternatives (a tuple of templates)."""


def compile_template(text: str) -> Template:
    """Compile `text` into a template.

    Parameters
    ----------
    text
        `{name}` is a slot, `[a|b|]` a choice between alternatives of equal weight, which may nest and may be empty.

    Raises
    ------
    ValueError
        If brackets do not match.
    """
    template, position = _parse(text, 0, nested=False)
    if position != len(text):
        raise ValueError(f"template {text!r}: unexpected {text[position]!r} at {position}; close every bracket once")
    return template


def _parse(text: str, position: int, *, nested: bool) -> tuple[Template, int]:
    parts: list[object] = []
    literal: list[str] = []

    def flush() -> None:
        if literal:
            parts.append("".join(literal))
            literal.clear()

    while position < len(text):
        char = text[position]
        if char == "{":
            end = text.index("}", position)
            flush()
            parts.append(Slot(text[position + 1 : end]))
            position = end + 1
        elif char == "[":
            flush()
            alternatives: list[Template] = []
            position += 1
            while True:
                alternative, position = _parse(text, position, nested=True)
                alternatives.append(alternative)
                if position >= len(text):
                    raise ValueError(f"template {text!r}: a [ is not closed")
                position += 1
                if text[position - 1] == "]":
                    break
            parts.append(tuple(alternatives))
        elif char == "]" or (char == "|" and nested):
            break
        else:
            literal.append(char)
            position += 1
    flush()
    return tuple(parts), position


def phrases(block: str) -> tuple[Template, ...]:
    """Compile a block of text, one template a line; blank lines are skipped."""
    return tuple(compile_template(line.strip()) for line in block.splitlines() if line.strip())


class Grammar:
    """Rules and makers that templates may refer to.

    Parameters
    ----------
    rules
        Slot name → alternatives of equal weight.
    makers
        Slot name → a function of the generator.
    """

    def __init__(self, rules: Mapping[str, tuple[Template, ...]], makers: Mapping[str, Maker]) -> None:
        self._rules = dict(rules)
        self._makers = dict(makers)

    def say(self, rng: Random, template: Template, slots: Mapping[str, str]) -> str:
        """Speak a template; `slots` go before makers, makers before rules. Costs a few microseconds.

        Raises
        ------
        KeyError
            If a slot has neither value, maker nor rule.
        """
        out: list[str] = []
        self._speak(rng.random, rng, template, slots, out)
        return "".join(out)

    def _speak(
        self, uniform: Callable[[], float], rng: Random, template: Template, slots: Mapping[str, str], out: list[str]
    ) -> None:
        for part in template:
            if type(part) is str:
                out.append(part)
            elif type(part) is tuple:
                self._speak(uniform, rng, part[int(uniform() * len(part))], slots, out)
            else:
                name = str(part)
                value = slots.get(name)
                if value is not None:
                    out.append(value)
                elif name in self._makers:
                    out.append(self._makers[name](rng))
                else:
                    rule = self._rules[name]
                    self._speak(uniform, rng, rule[int(uniform() * len(rule))], slots, out)
