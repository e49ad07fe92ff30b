"""Pieces of the dashboards' queries: which series of the rollups, and what people chose in the drop-downs."""

from __future__ import annotations

from sinks.dashboards.panels import ALL


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
    """Return an SQL expression of the value that stands for `column` in a variable: a comma must not part it."""
    return f"replaceAll(replaceAll({column}, '%', '%25'), ',', '%2C')"


def options(select: str) -> str:
    """Return a variable's query: each distinct word of the one column `word` of `select`, with itself as its label."""
    return (
        f"SELECT {option('word')} AS value, word AS text FROM ({select}) WHERE word != '' GROUP BY word ORDER BY word"
    )


def among(column: str, variable: str) -> str:
    """Return a condition: the column is one of the chosen values, or all were chosen."""
    return f"(has({chosen(variable)}, '{ALL}') OR has({chosen(variable)}, toString({column})))"


def volume_series(measure: str) -> str:
    """Return a condition: the rollups of a measure, over everybody or over the chosen `line`.

    It compares whole series, which lead the sorting key: a query reads only what it shows.
    """
    return (
        f"has(if(has({chosen('line')}, '{ALL}'), ['{measure}:'], "
        f"arrayMap(line -> concat('{measure}:|line=', line), {chosen('line')})), series)"
    )


def topic_series() -> str:
    """Return a condition: the rollups of topics, over everybody or over the chosen `line`, of the chosen `topic`."""
    return (
        "startsWith(series, 'topic:') "
        f"AND if(has({chosen('line')}, '{ALL}'), empty(dims), "
        f"mapKeys(dims) = ['line'] AND has({chosen('line')}, dims['line'])) AND {among('value', 'topic')}"
    )


def lines_of_rollups() -> str:
    """Return the query of the variable `line`."""
    return options("SELECT dims['line'] AS word FROM rollups WHERE startsWith(series, 'contacts:|line=')")


def topics_of_rollups() -> str:
    """Return the query of the variable `topic`."""
    return options("SELECT value AS word FROM rollups WHERE startsWith(series, 'topic:')")
