"""Regions on the dashboards follow the incidents, through restarts and outages, and hold up nobody."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strict_grafana import ADMIN, ADMIN_PERMISSIONS, StrictGrafana

from qianshao.clock import from_rfc3339
from qianshao.config import Grafana
from qianshao.errors import StoreError, UnavailableError
from qianshao.incident import IncidentChange
from qianshao.outcome import Outcome
from sinks.annotations import Annotations
from sinks.grafana import GrafanaPort

# A connection that breaks inside an answer is now and then left to the garbage collector by the HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

STATUS = {"opened": "open", "updated": "open", "reopened": "open"}


@pytest.fixture(scope="module")
def running() -> Iterator[StrictGrafana]:
    grafana = StrictGrafana()
    grafana.start()
    yield grafana
    grafana.stop()


@pytest.fixture
def server(running: StrictGrafana) -> Iterator[StrictGrafana]:
    running.reset()
    # Only what a test leaves is looked through: all that this process has loaded before takes half a second.
    gc.freeze()
    yield running
    gc.collect()
    gc.unfreeze()


@pytest.fixture
def port(server: StrictGrafana, tmp_path: Path) -> Callable[[], GrafanaPort]:
    (tmp_path / "token").write_text(ADMIN)
    return lambda: GrafanaPort(Grafana(url=server.url, token_file=str(tmp_path / "token")), timeout_seconds=0.2)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sink(port: Callable[[], GrafanaPort], clock: Clock) -> Iterator[Annotations]:
    made = Annotations(port(), live_page="http://qianshao.example/", threaded=False, clock=clock)
    yield made
    made.close()


@pytest.fixture
def change(make: Any) -> Callable[..., IncidentChange]:
    def build(version: int, minutes: float, what: str = "updated", name: str = "i1", **fields: Any) -> IncidentChange:
        fields.setdefault("status", STATUS.get(what, what))
        built: IncidentChange = make.incident(name, version, minutes, change=what, **fields)
        return built

    return build


def outcome(*changes: IncidentChange) -> Outcome:
    return Outcome(sequence=0, watermark=0, incidents=list(changes))


def only(server: StrictGrafana) -> dict[str, Any]:
    (note,) = server.notes.values()
    return note


def test_a_region_opens_grows_closes_and_opens_again(
    server: StrictGrafana, sink: Annotations, change: Callable[..., IncidentChange]
) -> None:
    steps = [
        (change(1, 5, "opened"), "open"),
        (change(2, 15, severity="P1"), "open"),
        (change(3, 20, "acknowledged"), "acknowledged"),
        (change(4, 40, "resolved"), "resolved"),
        (change(5, 55, "reopened"), "open"),
        (change(6, 70, "dismissed"), "dismissed"),
    ]
    for step, status in steps:
        sink.write(outcome(step))
        sink.flush()
        note = only(server)
        assert (note["time"], note["timeEnd"]) == (from_rfc3339(step.first_seen), from_rfc3339(step.at))
        assert note["tags"] == ["qianshao", "incident:i1", step.severity, status]
    assert sink.health().ok
    assert [method for method, _ in server.writes()] == ["POST", *["PATCH"] * 5]


def test_a_watched_incident_is_not_told(
    server: StrictGrafana, sink: Annotations, change: Callable[..., IncidentChange]
) -> None:
    sink.write(outcome(change(1, 5, "watched", status="watching", opened_at=None)))
    sink.flush()
    assert server.requests == []


def test_a_merged_incident_ends_and_names_the_one_that_remains(
    server: StrictGrafana, sink: Annotations, change: Callable[..., IncidentChange]
) -> None:
    sink.write(outcome(change(1, 5, "opened"), change(1, 6, "opened", name="i2")))
    sink.flush()
    sink.write(outcome(change(2, 9, "merged", name="i2", parent="i1")))
    sink.flush()
    merged = next(note for note in server.notes.values() if "incident:i2" in note["tags"])
    assert "merged" in merged["tags"]
    assert "并入 i1" in merged["text"]
    assert len(server.notes) == 2


def test_a_hostile_title_is_shown_as_it_is_written(
    server: StrictGrafana, sink: Annotations, change: Callable[..., IncidentChange]
) -> None:
    title = "<script>alert('门锁')</script> \"& <img src=x onerror=1>"
    sink.write(outcome(change(1, 5, "opened", name='i&1 "x"', title=title, parent="<b>")))
    sink.flush()
    text = only(server)["text"]
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert(&#x27;门锁&#x27;)&lt;/script&gt; &quot;&amp; &lt;img" in text
    assert 'href="http://qianshao.example/incidents/i%261%20%22x%22"' in text
    assert text.count("<a ") == text.count("</a>") == 1


def test_an_incident_name_that_looks_like_a_query_finds_its_own_region(
    server: StrictGrafana, port: Callable[[], GrafanaPort], change: Callable[..., IncidentChange]
) -> None:
    for _ in range(2):
        sink = Annotations(port(), threaded=False)
        sink.write(outcome(change(1, 5, "opened", name="门锁 离线&tags=x#%"), change(1, 5, "opened", name="门锁")))
        sink.close()
    assert len(server.notes) == 2


def test_a_restart_makes_no_double_and_writes_nothing_that_is_right(
    server: StrictGrafana, port: Callable[[], GrafanaPort], change: Callable[..., IncidentChange]
) -> None:
    for _ in range(3):
        sink = Annotations(port(), threaded=False)
        sink.write(outcome(change(1, 5, "opened"), change(2, 15)))
        sink.write(outcome(change(2, 15)))
        sink.close()
    assert [method for method, _ in server.writes()] == ["POST"]
    sink = Annotations(port(), threaded=False)
    sink.reconcile([change(3, 30, "resolved")])
    sink.close()
    assert only(server)["timeEnd"] == from_rfc3339(change(3, 30).at)


def test_a_replayed_older_state_takes_nothing_back(
    server: StrictGrafana, port: Callable[[], GrafanaPort], change: Callable[..., IncidentChange]
) -> None:
    first = Annotations(port(), threaded=False)
    first.write(outcome(change(4, 40, "resolved")))
    first.write(outcome(change(2, 15)))
    first.close()
    again = Annotations(port(), threaded=False)
    again.write(outcome(change(2, 15)))
    again.flush()
    assert "resolved" in only(server)["tags"]
    again.write(outcome(change(5, 50, "reopened")))
    again.close()
    assert "open" in only(server)["tags"]


def test_doubles_that_somehow_came_about_are_taken_away(
    server: StrictGrafana, port: Callable[[], GrafanaPort], change: Callable[..., IncidentChange]
) -> None:
    tags = ["qianshao", "incident:i1", "P2", "open"]
    direct = port()
    kept, double = (direct.create_annotation(1, 2, tags, "x") for _ in range(2))
    direct.close()
    sink = Annotations(port(), threaded=False)
    sink.write(outcome(change(1, 5, "opened")))
    sink.close()
    assert kept < double
    assert list(server.notes) == [kept]


def test_a_region_that_a_person_deleted_comes_back_with_the_next_change(
    server: StrictGrafana, sink: Annotations, change: Callable[..., IncidentChange]
) -> None:
    sink.write(outcome(change(1, 5, "opened")))
    sink.flush()
    server.notes.clear()
    sink.write(outcome(change(2, 15)))
    sink.flush()
    assert only(server)["timeEnd"] == from_rfc3339(change(2, 15).at)


@pytest.mark.parametrize("mode", ["errors", "busy", "slow", "cut"])
def test_an_outage_costs_one_warning_and_afterwards_the_newest_states_are_there(
    server: StrictGrafana,
    sink: Annotations,
    clock: Clock,
    change: Callable[..., IncidentChange],
    caplog: pytest.LogCaptureFixture,
    mode: Any,
) -> None:
    sink.write(outcome(change(1, 5, "opened")))
    sink.flush()
    server.mode = mode
    with caplog.at_level(logging.INFO, logger="sinks.annotations"):
        for version in range(2, 6):
            sink.write(outcome(change(version, 10 * version), change(version, 10 * version, "opened", name="i2")))
            sink.flush()
            clock.now += 100
        health = sink.health()
        assert (health.ok, health.waiting, health.lost) == (False, 2, 0)
        assert "Grafana" in health.detail
        assert [record.message.split()[0] for record in caplog.records] == ["grafana_unavailable"]
        server.mode = "up"
        clock.now += 100
        sink.flush()
    assert [record.message.split()[0] for record in caplog.records] == ["grafana_unavailable", "grafana_available"]
    assert ADMIN not in caplog.text + health.detail
    assert sink.health().ok
    ends = {note["tags"][1]: note["timeEnd"] for note in server.notes.values()}
    end = from_rfc3339(change(5, 50).at)
    assert ends == {"incident:i1": end, "incident:i2": end}
    assert len(server.notes) == 2


def test_an_answer_that_was_lost_after_the_region_was_made_makes_no_double(
    server: StrictGrafana, sink: Annotations, clock: Clock, change: Callable[..., IncidentChange]
) -> None:
    sink.write(outcome(change(1, 5, "opened")))
    original = server._create_note

    def break_off(request: Any, body: object) -> tuple[int, object]:
        answer = original(request, body)
        server.mode = "cut"
        return answer

    server._create_note = break_off  # type: ignore[method-assign]
    sink.flush()
    del server.__dict__["_create_note"]
    server.mode = "up"
    clock.now += 100
    sink.flush()
    assert sink.health().waiting == 0
    assert len(server.notes) == 1


def test_a_pause_grows_while_nothing_answers(
    server: StrictGrafana, sink: Annotations, clock: Clock, change: Callable[..., IncidentChange]
) -> None:
    server.mode = "errors"
    sink.write(outcome(change(1, 5, "opened")))
    tried = []
    for second in range(200):
        clock.now = float(second)
        if sink.work():
            tried.append(second)
    assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183]


def test_a_token_without_permission_is_an_outage_too(
    server: StrictGrafana, sink: Annotations, clock: Clock, change: Callable[..., IncidentChange]
) -> None:
    server.tokens[ADMIN] = ADMIN_PERMISSIONS - {"annotations:create"}
    sink.write(outcome(change(1, 5, "opened")))
    sink.flush()
    assert "lacks permission annotations:create" in sink.health().detail
    server.tokens[ADMIN] = ADMIN_PERMISSIONS
    clock.now += 10
    sink.flush()
    assert only(server)["tags"][1] == "incident:i1"


def test_a_state_that_grafana_refuses_holds_up_no_other(
    server: StrictGrafana,
    sink: Annotations,
    change: Callable[..., IncidentChange],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = GrafanaPort.create_annotation

    def refuse(self: GrafanaPort, start: int, end: int, tags: Any, text: str) -> int:
        return create(self, start, end, tags, "" if "incident:i1" in tags else text)

    monkeypatch.setattr(GrafanaPort, "create_annotation", refuse)
    sink.write(outcome(change(1, 5, "opened"), change(1, 5, "opened", name="i2")))
    sink.flush()
    assert only(server)["tags"][1] == "incident:i2"
    assert sink.health() == type(sink.health())(ok=True, waiting=0, lost=1, detail="")


def test_what_waits_is_bounded_and_what_was_let_go_can_be_told_again(
    server: StrictGrafana, port: Callable[[], GrafanaPort], clock: Clock, change: Callable[..., IncidentChange]
) -> None:
    sink = Annotations(port(), threaded=False, clock=clock, maximum_waiting=3)
    server.mode = "errors"
    for number in range(10):
        sink.write(outcome(change(1, 5, "opened", name=f"i{number}")))
        sink.work()
    assert (sink.health().waiting, sink.health().lost) == (3, 7)
    server.mode = "up"
    clock.now += 100
    sink.flush()
    assert sorted(note["tags"][1] for note in server.notes.values()) == ["incident:i7", "incident:i8", "incident:i9"]
    sink.reconcile([change(1, 5, "opened", name="i0")])
    sink.close()
    assert "incident:i0" in {note["tags"][1] for note in server.notes.values()}


def test_an_incident_that_was_let_go_after_a_newer_state_can_be_told_again(
    server: StrictGrafana, port: Callable[[], GrafanaPort], change: Callable[..., IncidentChange]
) -> None:
    sink = Annotations(port(), threaded=False, maximum_waiting=2)
    newer = change(2, 9, name="i0")
    sink.write(outcome(change(1, 5, "opened", name="i0"), change(1, 5, "opened"), newer))
    sink.write(outcome(change(1, 5, "opened", name="i2")))
    sink.flush()
    assert sink.health().lost == 1
    sink.reconcile([newer])
    sink.close()
    assert len(server.notes) == 3


def test_a_newer_state_that_arrives_while_an_older_one_fails_is_the_one_that_is_kept(
    server: StrictGrafana,
    sink: Annotations,
    clock: Clock,
    change: Callable[..., IncidentChange],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def overtaken(self: GrafanaPort, tags: Any) -> list[Any]:
        sink.write(outcome(change(2, 30, "resolved")))
        raise UnavailableError("away")

    sink.write(outcome(change(1, 5, "opened")))
    with monkeypatch.context() as patched:
        patched.setattr(GrafanaPort, "annotations", overtaken)
        sink.flush()
    clock.now += 10
    sink.flush()
    assert "resolved" in only(server)["tags"]


def test_a_closed_sink_says_so(
    server: StrictGrafana, port: Callable[[], GrafanaPort], change: Callable[..., IncidentChange]
) -> None:
    sink = Annotations(port(), threaded=False)
    sink.close()
    sink.close()
    with pytest.raises(StoreError, match="is closed"):
        sink.write(outcome(change(1, 5, "opened")))


def test_the_thread_brings_what_is_written_and_ends_with_the_sink(
    server: StrictGrafana, port: Callable[[], GrafanaPort], change: Callable[..., IncidentChange]
) -> None:
    sink = Annotations(port())
    sink.write(outcome(change(1, 5, "opened"), change(1, 6, "opened", name="i2")))
    sink.flush()
    assert len(server.notes) == 2
    sink.write(outcome(change(2, 30, "resolved")))
    sink.close()
    assert next(iter(server.notes.values()))["timeEnd"] == from_rfc3339(change(2, 30).at)
    assert "grafana-annotations" not in {thread.name for thread in threading.enumerate()}


def test_nobody_waits_for_a_grafana_that_hangs(
    server: StrictGrafana,
    port: Callable[[], GrafanaPort],
    change: Callable[..., IncidentChange],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.mode = "slow"
    sink = Annotations(port())
    started = time.monotonic()
    for version in range(1, 200):
        sink.write(outcome(change(version, 5 + version, "opened")))
    assert time.monotonic() - started < 0.15, "a write waited for Grafana"
    sink.flush()
    sink.flush()
    assert time.monotonic() - started < 2.5
    sink.close()
    assert time.monotonic() - started < 5
    assert "grafana_annotations_unwritten" in caplog.text


def test_grafana_away_during_the_incident_and_back_afterwards(
    port: Callable[[], GrafanaPort], change: Callable[..., IncidentChange], tmp_path: Path
) -> None:
    own = StrictGrafana()
    own.start()
    own.stop()
    away = GrafanaPort(Grafana(url=own.url, token_file=str(tmp_path / "token")))
    clock = Clock()
    sink = Annotations(away, threaded=False, clock=clock)
    sink.write(outcome(change(1, 5, "opened")))
    sink.write(outcome(change(2, 60, "resolved")))
    sink.flush()
    assert not sink.health().ok
    own.start()
    clock.now += 10
    sink.close()
    own.stop()
    assert "resolved" in only(own)["tags"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_of_states_restarts_and_outages_ends_with_one_region_of_the_newest_state(
    server: StrictGrafana,
    port: Callable[[], GrafanaPort],
    change: Callable[..., IncidentChange],
    data: st.DataObject,
) -> None:
    server.reset()
    kinds = ["opened", "updated", "acknowledged", "resolved", "reopened"]
    history = {
        name: [
            change(version, 5 + 3 * version, data.draw(st.sampled_from(kinds)), name=name) for version in range(1, 5)
        ]
        for name in ("i1", "i2")
    }
    clock = Clock()
    sink = Annotations(port(), threaded=False, clock=clock)
    for move in data.draw(
        st.lists(st.sampled_from(["i1", "i2", "work", "restart", "cut", "errors", "up"]), max_size=30)
    ):
        clock.now += 100
        if move in history:
            sink.write(outcome(history[move][data.draw(st.integers(0, 3))]))
        elif move == "work":
            sink.work()
        elif move == "restart":
            sink.close()
            sink = Annotations(port(), threaded=False, clock=clock)
        else:
            server.mode = "cut" if move == "cut" else "errors" if move == "errors" else "up"
    server.mode = "up"
    clock.now += 100
    sink.reconcile([versions[-1] for versions in history.values()])
    sink.close()
    shown = {note["tags"][1]: (note["timeEnd"], note["tags"][3], note["text"]) for note in server.notes.values()}
    assert len(server.notes) == 2
    for name, versions in history.items():
        end, status, text = shown[f"incident:{name}"]
        assert (end, status) == (from_rfc3339(versions[-1].at), versions[-1].status)
        assert versions[-1].title in text
