"""Planned days: promotions, holidays, campaigns and work that explain a rise before it comes."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, tzinfo
from pathlib import Path
from typing import NamedTuple

from qianshao.clock import is_waking
from qianshao.errors import InputError

UNSTATED_MULTIPLIER = 1.5
"""What a planned day without a multiplier is taken to bring."""

_WORK = r"(?:维护|检修|割接|停机|停服)"
"""In the name of a planned day: what is worked on may be away, and its devices say so."""
_OF_ANYTHING = re.compile(rf"(?:全线|系统|平台|云平台|服务器?|机房|网络|计划|例行|夜间|停机|停服|升级)*{_WORK}")
"""What of a name says no more than that; what is left says of what: 钱包系统维护 is of a wallet."""

_COLUMNS = ("date", "name", "line", "expected_multiplier")


class PlannedDay(NamedTuple):
    """One planned day of one business line; an empty line means all."""

    day: str
    name: str
    line: str
    multiplier: float


class Calendar:
    """Which planned days fall on a time, and how much more traffic they were planned to bring."""

    def __init__(self, days: list[PlannedDay], zone: tzinfo) -> None:
        self._zone = zone
        self._days: dict[str, dict[str, float]] = {}
        self._work: dict[str, list[tuple[str, str]]] = {}
        for planned in days:
            if re.search(_WORK, planned.name):
                self._work.setdefault(planned.day, []).append((planned.line, _OF_ANYTHING.sub("", planned.name)))
            lines = self._days.setdefault(planned.day, {})
            lines[planned.line] = max(lines.get(planned.line, 1.0), planned.multiplier)

    @classmethod
    def empty(cls, zone: tzinfo) -> Calendar:
        """Return a calendar without planned days."""
        return cls([], zone)

    @classmethod
    def read(cls, path: Path, zone: tzinfo) -> Calendar:
        """Read a CSV `date,name,line,expected_multiplier`; an empty line means all, the multiplier is optional (1.5).

        Raises
        ------
        InputError
            If the file cannot be read or a row is wrong; the message names the file and the row.
        """
        days: list[PlannedDay] = []
        try:
            with path.open(encoding="utf-8-sig", newline="") as handle:
                reader = csv.DictReader(handle)
                if reader.fieldnames is None or not {"date", "name", "line"} <= set(reader.fieldnames):
                    raise InputError(f"calendar {path}: the first row must be {','.join(_COLUMNS)}")
                for number, row in enumerate(reader, start=2):
                    stated = (row.get("expected_multiplier") or "").strip()
                    try:
                        day = date.fromisoformat((row["date"] or "").strip()).isoformat()
                        multiplier = float(stated) if stated else UNSTATED_MULTIPLIER
                    except ValueError:
                        day, multiplier = "", 0.0
                    if not day or not 0 < multiplier < 1000:
                        raise InputError(
                            f"calendar {path}, row {number}: has {row['date']!r} and {stated!r}; "
                            "expected a date such as 2026-11-11 and a positive multiplier such as 2.5"
                        )
                    days.append(PlannedDay(day, (row["name"] or "").strip(), (row["line"] or "").strip(), multiplier))
        except OSError as error:
            raise InputError(f"calendar {path}: cannot be read ({error.strerror}); give an existing CSV file") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"calendar {path}: is not UTF-8 CSV ({error}); save it as UTF-8") from None
        return cls(days, zone)

    def multiplier(self, ts_ms: int, line: str) -> float:
        """Return how many times the ordinary traffic was planned at a time for a line; 1.0 on an ordinary day.

        >>> from zoneinfo import ZoneInfo
        >>> zone = ZoneInfo("Asia/Shanghai")
        >>> Calendar([PlannedDay("2026-11-11", "双十一", "", 2.5)], zone).multiplier(1794355200000, "到家")
        2.5
        """
        lines = self.planned(ts_ms)
        return max(lines.get(line, 1.0), lines.get("", 1.0))

    def planned(self, ts_ms: int) -> Mapping[str, float]:
        """Return what was planned on the day of a time: line, "" = all, → multiplier; {} on an ordinary day."""
        return self._days.get(self._day(ts_ms), {}) if self._days else {}

    def midnight(self, ts_ms: int) -> int:
        """Return when the day of a time began, epoch milliseconds."""
        day = datetime.fromtimestamp(ts_ms / 1000, tz=self._zone).date()
        return round(datetime.combine(day, time(), tzinfo=self._zone).timestamp() * 1000)

    def work(self, ts_ms: int) -> Sequence[tuple[str, str]]:
        """Return the planned work on the day of a time, each with its line, "" = all, and what its name
        says is worked on, "" = anything.

        >>> from zoneinfo import ZoneInfo
        >>> day = PlannedDay("2026-11-11", "净化器云平台维护", "家居", 1.5)
        >>> Calendar([day, day._replace(name="双十一")], ZoneInfo("Asia/Shanghai")).work(1794355200000)
        [('家居', '净化器')]
        """
        return self._work.get(self._day(ts_ms), []) if self._work else []

    def nightly_work(self, ts_ms: int) -> Sequence[tuple[str, str]]:
        """Return the planned work on the day of a time, as `work` does, if the time lies in its night."""
        return [] if is_waking(ts_ms, self._zone) else self.work(ts_ms)

    def _day(self, ts_ms: int) -> str:
        return datetime.fromtimestamp(ts_ms / 1000, tz=self._zone).date().isoformat()
