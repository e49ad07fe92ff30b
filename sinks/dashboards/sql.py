"""Pieces of the dashboards' queries: which series of the rollups, and what people chose in the drop-downs."""

from __future__ import annotations

from collections.abc import Sequence

from sinks.dashboards.panels import ALL
from sinks.dashboards.words import LANGUAGES, Choice, Text

WORD = "<word>"
"""In a query for `in_words`: the column `name`, as people read it."""


def chosen(variable: str) -> str:
    """Return an SQL expression of the values chosen in a variable, an array of strings.

    The format `percentencode` leaves nothing but letters, digits and `-_.~%`, so no value can end the literal that it
    stands in; Grafana's quoting formats leave the backslash as it is, which ClickHouse reads as an escape.
    """
    return (
        "arrayMap(each -> decodeURLComponent(each), "
        f"splitByChar(',', trim(BOTH '{{}}' FROM decodeURLComponent('${{{variable}:percentencode}}'))))"
    )


def one(variable: str) -> str:
    """Return an SQL expression of the value of a variable that holds exactly one."""
    return f"decodeURLComponent(decodeURLComponent('${{{variable}:percentencode}}'))"


def option(column: str) -> str:
    """Return an SQL expression of the value that stands for `column` in a variable.

    Grafana joins several values with commas inside braces, so a value must hold neither.
    """
    for mark, code in (("%", "%25"), (",", "%2C"), ("{", "%7B"), ("}", "%7D")):
        column = f"replaceAll({column}, '{mark}', '{code}')"
    return column


def options(select: str) -> str:
    """Return a variable's query: each distinct word of the one column `word` of `select`, with itself as its label."""
    return (
        f"SELECT {option('word')} AS value, word AS text FROM ({select}) WHERE word != '' GROUP BY word ORDER BY word"
    )


def among(column: str, variable: str) -> str:
    """Return a condition: the column is one of the chosen values, or all were chosen."""
    return f"(has({chosen(variable)}, '{ALL}') OR has({chosen(variable)}, toString({column})))"


def at_level(measures: tuple[str, ...], condition: str = "") -> str:
    """Return a condition: the rollups of measures over everybody, or of the chosen `line`.

    Measure, level and time lead the sorting key: a query reads only what it shows.
    """
    listed = ", ".join(f"'{measure}'" for measure in measures)
    every = f"has({chosen('line')}, '{ALL}')"
    return (
        f"measure IN ({listed}) AND level = if({every}, '', 'line') "
        f"AND ({every} OR has({chosen('line')}, dims['line']))" + (f" AND {condition}" if condition else "")
    )


SHOWN = "$__timeFilter_ms(bin_start)"
"""The bins of the dashboard's time range."""


def option_of_level(word: str, condition: str) -> str:
    """Return a variable's query: the distinct values of an expression over some rollups of the time range."""
    return options(f"SELECT {word} AS word FROM rollups WHERE {condition} AND {SHOWN}")


def lines_at(measure: str) -> str:
    """Return the query of the variable `line`: the lines that a measure is counted under."""
    return option_of_level("dims['line']", f"measure = '{measure}' AND level = 'line'")


def in_words(choices: Sequence[Choice], query: str) -> Text:
    """Return a query in both languages, its `WORD` being the text of the stored word in the column `name`.

    For bar gauges, which write the value of a row as it comes.
    """
    listed = ", ".join(f"'{each.value}'" for each in choices)
    texts = (", ".join(f"'{each.text.into(language)}'" for each in choices) for language in LANGUAGES)
    return Text(*(query.replace(WORD, f"transform(name, [{listed}], [{words}], name)") for words in texts))
