"""Dashboards: every query answers on the recorded world, every panel explains itself, no chosen value breaks out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboards import dashboard_files, folder
from qianshao.app.rehearsal import Rehearsal
from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.outcome import Outcome, Pulse
from sinks.clickhouse import Store
from sinks.dashboards import DASHBOARDS, LANGUAGES, TAG, Language, alert_rules, dashboards, generated_files
from sinks.dashboards.__main__ import main
from sinks.dashboards.expand import expand
from sinks.dashboards.panels import ALL, PLUGIN, Dashboard, Variable, query
from sinks.dashboards.sql import chosen, one, option

Values = dict[str, str | Sequence[str]]
Queries = list[tuple[str, str]]

UNITS = {"none", "short", "s", "bytes", "percentunit", "reqps", "dateTimeAsIso"}
# One value of the drop-downs, together in the recorded smart-lock world; of others the first that they offer.
ONE: Mapping[str, Mapping[str, str]] = {
    "qianshao-service": {"line": "智慧家居", "topic": "物流配送"},
    "qianshao-incidents": {"product": "智能门锁", "severity": "P1", "status": "resolved"},
    "qianshao-devices": {
        "line": "智慧家居",
        "product": "智能门锁",
        "code": "E411",
        "firmware": "3.5.0",
        "region": "华东",
    },
    "qianshao-trends": {"line": "智慧家居", "product": "智能门锁", "topic": "物流配送", "state": "seasonal"},
    "qianshao-pipeline": {},
}
NASTY = ("'; DROP TABLE rollups; --", "\\", "\\' OR 1 = 1 --", "a,b", "%2C", "{x}", "100%", "$__timeFilter(x)", "门'锁")


@pytest.fixture(scope="module")
def store(recorded: Rehearsal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Open a copy of the recorded store, with the pulse of a service that would have read it live."""
    opened = Store(shutil.copytree(recorded.order.store, tmp_path_factory.mktemp("recorded") / "store", symlinks=True))
    _, end = span(opened)
    ((source,),) = opened.select("SELECT source FROM tallies FINAL")
    pulses = [
        Pulse(
            at=end - (10 - number) * MINUTE_MS,
            source=each,
            read=1000 * number,
            dead=number,
            late=2 * number,
            duplicate=number,
            lost=0,
            waiting=5,
            frontier=end - (10 - number) * MINUTE_MS - 1_000,
            watermark=end - (10 - number) * MINUTE_MS - 6_000,
            cpu_seconds=3.0 * number,
            memory_bytes=400_000_000,
        )
        for number in range(10)
        for each in (str(source), "cs.chat/1")
    ]
    opened.write(Outcome(sequence=0, watermark=end, pulses=pulses))
    yield opened
    opened.close()


def span(store: Store) -> tuple[int, int]:
    """A range with the whole recorded world in it."""
    rows = store.select("SELECT toUnixTimestamp64Milli(min(ts)), toUnixTimestamp64Milli(max(ts)) FROM events")
    first, last = cast("tuple[int, int]", rows[0])
    return first - HOUR_MS, last


def ask(store: Store, sql: str, values: Values, interval_seconds: int = 1800) -> dict[str, Any]:
    """Answer a query the way Grafana's own arrive: expanded, then through the door for readers."""
    start, end = span(store)
    asked = expand(sql, start_ms=start, end_ms=end, interval_seconds=interval_seconds, variables=values)
    return cast("dict[str, Any]", json.loads(store.answer(asked, default_format="JSONCompact").body))


def everything(store: Store, dashboard: Dashboard) -> Values:
    """All values of every drop-down; of one that takes a single value, the first that it offers."""
    values: Values = {each.name: [ALL] for each in dashboard.variables if each.several}
    for each in dashboard.variables:
        if not each.several:
            values[each.name] = str(ask(store, each.sql, values)["data"][0][0])
    return values


def queries(dashboard: Dashboard, language: Language) -> Queries:
    return [(panel.title.into(language), query(panel, language)) for panel in dashboard.panels]


def each_dashboard() -> list[Any]:
    return [pytest.param(dashboard, id=dashboard.uid) for dashboard in DASHBOARDS]


# -- what the queries answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dashboard", each_dashboard())
def test_no_panel_is_empty_with_everything_chosen(store: Store, dashboard: Dashboard) -> None:
    values = everything(store, dashboard)
    for language in LANGUAGES:
        answers = {title: ask(store, sql, values)["rows"] for title, sql in queries(dashboard, language)}
        assert [title for title, rows in answers.items() if not rows] == []


@pytest.mark.parametrize("dashboard", each_dashboard())
def test_no_panel_is_empty_with_one_value_chosen(store: Store, dashboard: Dashboard) -> None:
    everything_chosen = everything(store, dashboard)
    values = everything_chosen | {name: [value] for name, value in ONE[dashboard.uid].items()}
    for each in dashboard.variables:
        if values[each.name] == [ALL]:
            values[each.name] = [str(ask(store, each.sql, everything_chosen)["data"][0][0])]
    answers = {title: ask(store, sql, values)["rows"] for title, sql in queries(dashboard, "zh")}
    assert [title for title, rows in answers.items() if not rows] == []


@pytest.mark.parametrize("dashboard", each_dashboard())
def test_every_drop_down_has_something_to_choose(store: Store, dashboard: Dashboard) -> None:
    values = everything(store, dashboard)
    for each in dashboard.variables:
        if each.sql:
            answer = ask(store, each.sql, values)
            assert answer["rows"] >= 1, each.name
            assert [column["name"] for column in answer["meta"]] == ["value", "text"], each.name


@pytest.mark.parametrize("dashboard", each_dashboard())
def test_every_column_of_an_answer_has_a_title_and_every_title_a_column(store: Store, dashboard: Dashboard) -> None:
    values = everything(store, dashboard)
    for panel in dashboard.panels:
        columns = [column["name"] for column in ask(store, query(panel, "zh"), values)["meta"]]
        if panel.series:
            assert columns[:2] == ["time", panel.series]
            assert len(columns) == 3
        else:
            assert [name for name in columns if name != "time"] == [column.name for column in panel.columns]


def test_a_line_shows_its_own_customers_and_all_lines_show_everybody(store: Store) -> None:
    service = DASHBOARDS[0]
    volumes = query(service.panels[4], "zh")

    def customers(*lines: str) -> int:
        rows = ask(store, volumes, {"line": list(lines), "topic": [ALL]})["data"]
        return sum(int(row[1]) for row in rows)

    names = [str(row[0]) for row in store.select("SELECT DISTINCT dims['line'] FROM rollups WHERE level = 'line'")]
    each = {name: customers(name) for name in names}
    assert min(each.values()) > 0
    assert customers(*names) == sum(each.values())
    # Somebody without a line, or with two, makes the difference: everybody is counted on their own.
    everybody = store.select("SELECT sum(customers) FROM rollups FINAL WHERE measure = 'contacts' AND level = ''")
    assert customers(ALL) == everybody[0][0]


def test_the_evidence_of_an_incident_is_its_records(store: Store) -> None:
    incidents = next(each for each in DASHBOARDS if each.uid == "qianshao-incidents")
    panel = next(each for each in incidents.panels if each.number == 11)
    values = everything(store, incidents)
    ((record,),) = store.select(
        "SELECT record FROM newest_incidents WHERE incident = {id:String}", {"id": values["incident"]}
    )
    shown = {row[-1] for row in ask(store, query(panel, "zh"), values)["data"]}
    assert shown == set(json.loads(str(record))["evidence"])


# -- what people choose ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dashboard", each_dashboard())
def test_no_chosen_value_can_change_a_query(store: Store, dashboard: Dashboard) -> None:
    before = store.select("SELECT count() FROM rollups")
    values: Values = {each.name: list(NASTY) if each.several else "'; --\\" for each in dashboard.variables}
    for panel in dashboard.panels:
        sql = query(panel, "zh")
        answer = ask(store, sql, values)
        if panel.shape == "table":
            assert "percentencode" in sql
            assert answer["data"] == [], panel.title.zh
    assert store.select("SELECT count() FROM rollups") == before


LETTERS = st.one_of(
    st.sampled_from(",%{}'\\\"$&+ 门"), st.characters(exclude_categories=["Cs"], exclude_characters="\0")
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=4))
def test_a_value_arrives_as_it_was_chosen(store: Store, values: list[str]) -> None:
    offered = [str(store.select(f"SELECT {option('{value:String}')}", {"value": value})[0][0]) for value in values]
    arguments: dict[str, Any] = {"start_ms": 0, "end_ms": 1, "interval_seconds": 1}
    several = expand(f"SELECT {chosen('v')}", variables={"v": offered}, **arguments)
    assert store.select(several) == [(values,)]
    single = expand(f"SELECT {one('v')}", variables={"v": offered[0]}, **arguments)
    assert store.select(single) == [(values[0],)]


# -- what Grafana reads ----------------------------------------------------------------------------------------------


def test_the_files_are_those_that_the_code_makes(tmp_path: Path) -> None:
    shipped = {
        str(path.relative_to(folder())): path.read_text("utf-8")
        for kind in ("json", "yaml")
        for path in folder().rglob(f"*.{kind}")
    }
    assert shipped == generated_files() == generated_files()
    assert main(tmp_path) == len(shipped)
    assert main(tmp_path) == 0
    (tmp_path / "zh" / "gone.json").write_text("{}")
    assert main(tmp_path) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_a_dashboard_is_there_in_its_language(language: Language) -> None:
    assert len(dashboard_files(language)) == len(DASHBOARDS)
    for board in documents(language):
        assert board["title"]
        assert board["description"]
        for panel in board["panels"]:
            texts = [panel["title"], panel["description"], panel["fieldConfig"]["defaults"]["unit"]]
            texts += [
                each["value"]
                for override in panel["fieldConfig"]["overrides"]
                for each in override["properties"]
                if each["id"] == "displayName"
            ]
            assert all(texts), panel["title"]
            assert texts[2] in UNITS
            chinese = any("\u4e00" <= letter <= "\u9fff" for letter in "".join(texts[:2]))
            assert chinese == (language == "zh"), panel["title"]


def test_both_languages_show_the_same_panels() -> None:
    def shape(value: object) -> object:
        if isinstance(value, dict):
            return {key: shape(each) for key, each in value.items() if key not in ("rawSql", "query", "options")}
        if isinstance(value, list):
            return [shape(each) for each in value]
        return type(value).__name__ if isinstance(value, str) else value

    assert shape(dashboards("zh")) == shape(dashboards("en"))


def test_identifiers_are_unique_and_panels_do_not_overlap() -> None:
    assert len({board["uid"] for board in documents("zh")}) == len(DASHBOARDS)
    for board in documents("zh"):
        assert len(board["uid"]) <= 40
        numbers = [panel["id"] for panel in board["panels"]]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells


def test_incidents_are_drawn_over_the_time_series_in_the_colour_of_their_severity() -> None:
    css = (Path(__file__).parents[2] / "qianshao/app/console/static/console.css").read_text("utf-8")
    for board in documents("zh"):
        regions = [each for each in board["annotations"]["list"] if not each.get("builtIn")]
        if board["uid"] == "qianshao-pipeline":
            assert regions == []
            continue
        assert [each["target"]["tags"] for each in regions] == [[TAG, f"P{number}"] for number in range(1, 5)]
        for number, each in enumerate(regions, 1):
            assert f"--p{number}: {each['iconColor']};" in css


def test_a_link_to_a_dashboard_leads_to_one_that_is_there() -> None:
    known = {board["uid"]: {each["name"] for each in board["templating"]["list"]} for board in documents("zh")}
    for board in documents("zh"):
        addresses = [link["url"] for link in board["links"]]
        addresses += [
            link["url"]
            for panel in board["panels"]
            for override in panel["fieldConfig"]["overrides"]
            for each in override["properties"]
            if each["id"] == "links"
            for link in each["value"]
        ]
        for address in addresses:
            path, _, arguments = address.partition("?")
            uid = path.removeprefix("/d/")
            assert uid in known
            named = {each.partition("=")[0].removeprefix("var-") for each in arguments.split("&") if each[:4] == "var-"}
            assert named <= known[uid]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_dashboard_holds_only_what_grafana_knows(language: Language) -> None:
    for board in documents(language):
        keys(board, BOARD, board["uid"])
        for panel in board["panels"]:
            where = f"{board['uid']} {panel['id']}"
            keys(panel, PANEL | ({"interval": str} if "interval" in panel else {}), where)
            (target,) = panel["targets"]
            keys(target, TARGET, where)
            series = panel["type"] in ("timeseries", "state-timeline")
            assert (target["format"], target["queryType"]) == ((0, "timeseries") if series else (1, "table"))
            assert target["datasource"] == panel["datasource"] == {"type": PLUGIN, "uid": "${datasource}"}
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            assert steps[0]["value"] is None
            assert [each["value"] for each in steps[1:]] == sorted(each["value"] for each in steps[1:])
        for variable in board["templating"]["list"]:
            keys(variable, VARIABLE[variable["type"]], f"{board['uid']} {variable['name']}", optional={"allValue"})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_alert_rule_asks_for_one_number_and_points_at_a_panel(store: Store, language: Language) -> None:
    rules = cast("list[dict[str, Any]]", alert_rules(language))
    panels = {board["uid"]: {str(panel["id"]) for panel in board["panels"]} for board in documents(language)}
    assert len({rule["uid"] for rule in rules}) == len(rules) == 4
    for rule in rules:
        keys(rule, RULE, rule["uid"])
        answer = ask(store, rule["data"][0]["model"]["rawSql"], {})
        assert answer["rows"] == 1
        assert len(answer["data"][0]) == 1
        assert rule["annotations"]["__panelId__"] in panels[rule["annotations"]["__dashboardUid__"]]


def test_silence_is_an_alarm_and_a_quiet_pipeline_is_not(store: Store) -> None:
    rules = {rule["uid"]: rule for rule in cast("list[dict[str, Any]]", alert_rules("zh"))}
    _, end = span(store)

    def value(uid: str, moment: str) -> float:
        sql = rules[uid]["data"][0]["model"]["rawSql"].replace("now()", moment)
        return float(ask(store, sql, {})["data"][0][0])

    at_the_end, much_later = f"toDateTime({end // 1000})", "toDateTime('2105-01-01 00:00:00')"
    assert value("qianshao-silent", at_the_end) == 0
    assert value("qianshao-silent", much_later) == 1
    assert rules["qianshao-silent"]["noDataState"] == rules["qianshao-silent"]["execErrState"] == "Alerting"
    assert value("qianshao-dead-letters", at_the_end) < 5
    assert value("qianshao-dead-letters", much_later) == 0
    # One incident of the recorded world stays open, and nobody has taken it.
    assert value("qianshao-open-incident", at_the_end) == 1


def documents(language: Language) -> list[dict[str, Any]]:
    """The shipped dashboards as anybody reads them."""
    return [json.loads(path.read_text("utf-8")) for path in dashboard_files(language)]


def keys(found: Mapping[str, Any], known: Mapping[str, Any], where: str, optional: set[str] | None = None) -> None:
    """Fail on a key that Grafana does not know, on one that is missing, and on a value of another type."""
    assert set(found) - (optional or set()) == set(known), where
    for name, kind in known.items():
        assert isinstance(found[name], kind), f"{where}: {name}"


BOARD: Mapping[str, Any] = {
    "annotations": dict,
    "description": str,
    "editable": bool,
    "fiscalYearStartMonth": int,
    "graphTooltip": int,
    "id": type(None),
    "links": list,
    "panels": list,
    "refresh": str,
    "schemaVersion": int,
    "tags": list,
    "templating": dict,
    "time": dict,
    "timepicker": dict,
    "timezone": str,
    "title": str,
    "uid": str,
    "weekStart": str,
}
PANEL: Mapping[str, Any] = {
    "datasource": dict,
    "description": str,
    "fieldConfig": dict,
    "gridPos": dict,
    "id": int,
    "options": dict,
    "targets": list,
    "title": str,
    "transparent": bool,
    "type": str,
}
TARGET: Mapping[str, Any] = {
    "datasource": dict,
    "editorType": str,
    "format": int,
    "queryType": str,
    "rawSql": str,
    "refId": str,
}
_ANY_VARIABLE: Mapping[str, Any] = {
    "current": dict,
    "hide": int,
    "includeAll": bool,
    "label": str,
    "multi": bool,
    "name": str,
    "options": list,
    "skipUrlSync": bool,
    "type": str,
}
VARIABLE: Mapping[str, Mapping[str, Any]] = {
    "datasource": {**_ANY_VARIABLE, "query": str, "refresh": int, "regex": str},
    "custom": {**_ANY_VARIABLE, "query": str},
    "query": {
        **_ANY_VARIABLE,
        "query": dict,
        "datasource": dict,
        "definition": str,
        "refresh": int,
        "regex": str,
        "sort": int,
    },
}
RULE: Mapping[str, Any] = {
    "uid": str,
    "title": str,
    "condition": str,
    "data": list,
    "noDataState": str,
    "execErrState": str,
    "for": str,
    "annotations": dict,
    "labels": dict,
    "isPaused": bool,
}


def test_a_variable_that_is_not_known_is_named() -> None:
    variable = Variable("v", DASHBOARDS[0].title)
    with pytest.raises(ValueError, match="variable v: is not one of the dashboard's"):
        expand(chosen(variable.name), start_ms=0, end_ms=1, interval_seconds=1, variables={})
    with pytest.raises(ValueError, match="macro \\$__timeGroup"):
        expand("$__timeGroup(x)", start_ms=0, end_ms=1, interval_seconds=1, variables={})
    with pytest.raises(ValueError, match="left to replace"):
        expand("${v:raw}", start_ms=0, end_ms=1, interval_seconds=1, variables={"v": "x"})
