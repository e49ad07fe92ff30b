"""What Grafana and its ClickHouse plugin make of a query before it runs: for our tests and our benchmark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from sinks.dashboards.panels import ALL

_VARIABLE = re.compile(r"\$\{(\w+):percentencode\}")
_MACRO = re.compile(r"\$__(\w+?)\b(?:\(([^()]*)\))?")


def expand(
    sql: str, *, start_ms: int, end_ms: int, interval_seconds: int, variables: Mapping[str, str | Sequence[str]]
) -> str:
    """Return the query with macros and variables replaced.

    A list stands for a variable of several values; the list of `ALL` alone is its "All" entry, which carries our own
    text for everything.

    Raises
    ------
    ValueError
        If the query names a macro or a variable, or a format of a variable, that is not known here.
    """

    def macro(match: re.Match[str]) -> str:
        name, argument = match.group(1), (match.group(2) or "").strip()
        start, end = f"toDateTime({start_ms // 1000})", f"toDateTime({end_ms // 1000})"
        start_exact, end_exact = f"fromUnixTimestamp64Milli({start_ms})", f"fromUnixTimestamp64Milli({end_ms})"
        interval = max(interval_seconds, 1)
        known = {
            "fromTime": start,
            "toTime": end,
            "fromTime_ms": start_exact,
            "toTime_ms": end_exact,
            "timeFilter": f"{argument} >= {start} AND {argument} <= {end}",
            "timeFilter_ms": f"{argument} >= {start_exact} AND {argument} <= {end_exact}",
            "timeInterval": f"toStartOfInterval(toDateTime({argument}), INTERVAL {interval} second)",
            "interval_s": str(interval),
        }
        if name not in known:
            raise ValueError(f"macro $__{name}: is not one that the dashboards use")
        return known[name]

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in variables:
            raise ValueError(f"variable {name}: is not one of the dashboard's")
        chosen = variables[name]
        if isinstance(chosen, str):
            return _percent_encoded(chosen)
        return _percent_encoded(ALL) if list(chosen) == [ALL] else _percent_encoded("{" + ",".join(chosen) + "}")

    expanded = _MACRO.sub(macro, _VARIABLE.sub(value, sql))
    if "$" in expanded:
        raise ValueError(
            f"query: something was left to replace in {expanded[max(0, expanded.index('$') - 20) :][:60]!r}"
        )
    return expanded


def _percent_encoded(value: str) -> str:
    """Encode as browsers do for one component of an address, and `!'()*` too."""
    return quote(value, safe="-_.~")
