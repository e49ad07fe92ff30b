"""Pushing dashboards changes what differs, says so, and never what is somebody else's."""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from strict_grafana import ADMIN, ADMIN_PERMISSIONS, StrictGrafana

from qianshao.app.cli import main
from qianshao.config import Config, Grafana
from qianshao.errors import AccessError, ConfigError, QianshaoError, StoreError, UnavailableError
from sinks import dashboards as generated
from sinks.grafana import GrafanaPort
from sinks.grafana_push import PERMISSIONS, Change, examine, push_dashboards

# A connection that breaks inside an answer is now and then left to the garbage collector by the HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

PANEL = {"id": 1, "type": "timeseries", "title": "联系量 & 预期", "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0}}


def dashboard(uid: str = "qianshao-a", title: str = "客服 100% & 热点 <b>") -> dict[str, Any]:
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "tags": ["qianshao", "客服 中心 & 热点"],
        "schemaVersion": 39,
        "panels": [dict(PANEL)],
        "description": None,
    }


def rule(uid: str = "qianshao-late", title: str = "数据迟到", wait: str = "5m") -> dict[str, Any]:
    query = {"refId": "A", "datasourceUid": "qianshao-clickhouse", "model": {"rawSql": "SELECT 1", "refId": "A"}}
    return {
        "uid": uid,
        "title": title,
        "condition": "A",
        "data": [query],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": wait,
        "labels": {"service": "qianshao"},
    }


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
def config(server: StrictGrafana, tmp_path: Path) -> Config:
    (tmp_path / "token").write_text(ADMIN + "\n")
    (tmp_path / "password").write_text("第一个 password")
    return Config(
        grafana=Grafana(
            url=server.url + "/",
            token_file=str(tmp_path / "token"),
            clickhouse_password_file=str(tmp_path / "password"),
        )
    )


def with_grafana(config: Config, **fields: Any) -> Config:
    return msgspec.structs.replace(config, grafana=msgspec.structs.replace(config.grafana, **fields))


def actions(changes: list[Change]) -> list[tuple[str, str, str]]:
    return [(change.what, change.uid, change.action) for change in changes]


def held(server: StrictGrafana) -> dict[str, Any]:
    names = ("folders", "sources", "passwords", "dashboards", "rules", "notes")
    return copy.deepcopy({name: getattr(server, name) for name in names})


def test_the_first_push_makes_everything_and_the_second_nothing(server: StrictGrafana, config: Config) -> None:
    first = push_dashboards(config, [dashboard()], [rule()])
    assert actions(first) == [
        ("folder", "qianshao", "created"),
        ("data source", "qianshao-clickhouse", "created"),
        ("dashboard", "qianshao-a", "created"),
        ("alert rule", "qianshao-late", "created"),
    ]
    before = held(server)
    server.requests.clear()
    second = push_dashboards(config, [dashboard()], [rule()])
    assert {change.action for change in second} == {"unchanged"}
    assert {change.diff for change in second} == {""}
    assert server.writes() == []
    assert held(server) == before


def test_what_the_generator_makes_is_taken_and_stays_as_it_is(server: StrictGrafana, config: Config) -> None:
    for language, done in (("zh", "created"), ("en", "updated")):
        wanted = generated.dashboards(language), generated.alert_rules(language)
        changes = push_dashboards(config, *wanted)
        assert {change.action for change in changes if change.what in ("dashboard", "alert rule")} == {done}
        assert {change.action for change in push_dashboards(config, *wanted)} == {"unchanged"}
    assert len(server.dashboards) == len(generated.dashboards("zh"))


def test_chinese_titles_and_tags_arrive_as_they_are(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [dashboard()], [rule()])
    assert server.folders["qianshao"]["title"] == "前哨 Qianshao"
    model = server.dashboards["qianshao-a"]["model"]
    assert (model["title"], model["tags"]) == ("客服 100% & 热点 <b>", ["qianshao", "客服 中心 & 热点"])
    assert server.dashboards["qianshao-a"]["folder"] == "qianshao"
    assert server.rules["qianshao-late"]["ruleGroup"] == "qianshao"


def test_people_may_edit_the_alert_rules_that_were_pushed(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [], [rule()])
    push_dashboards(config, [], [rule(wait="10m")])
    assert server.rules["qianshao-late"]["provenance"] == ""
    assert server.rules["qianshao-late"]["for"] == "10m"


def test_a_dry_run_shows_the_diff_and_writes_nothing(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [dashboard()], [rule()])
    before = held(server)
    server.requests.clear()
    changes = push_dashboards(config, [dashboard(title="新标题"), dashboard("qianshao-b")], [rule()], dry_run=True)
    assert [change.action for change in changes] == ["unchanged", "unchanged", "updated", "created", "unchanged"]
    assert '-  "title": "客服 100% & 热点 <b>"' in changes[2].diff
    assert '+  "title": "新标题"' in changes[2].diff
    assert "\n-" not in changes[3].diff.partition("@@")[2]
    assert server.writes() == []
    assert held(server) == before


def test_a_dry_run_on_an_empty_grafana_shows_all_of_it(server: StrictGrafana, config: Config) -> None:
    changes = push_dashboards(config, [dashboard()], [rule()], dry_run=True)
    assert {change.action for change in changes} == {"created"}
    assert server.writes() == []


def test_the_folder_follows_its_name_in_the_configuration(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [], [])
    changes = push_dashboards(with_grafana(config, folder="预警 & 事件"), [], [])
    assert actions(changes)[0] == ("folder", "qianshao", "updated")
    assert server.folders["qianshao"]["title"] == "预警 & 事件"
    assert len(server.folders) == 1


def test_what_a_person_changed_is_set_back_with_a_diff(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [dashboard()], [])
    server.dashboards["qianshao-a"]["model"]["panels"].append({"id": 2, "title": "别人加的"})
    server.dashboards["qianshao-a"]["folder"] = ""
    (change,) = [change for change in push_dashboards(config, [dashboard()], []) if change.what == "dashboard"]
    assert change.action == "updated"
    assert "别人加的" in change.diff
    assert '-  "folder": ""' in change.diff
    assert [panel["id"] for panel in server.dashboards["qianshao-a"]["model"]["panels"]] == [1]
    assert server.dashboards["qianshao-a"]["folder"] == "qianshao"


def test_a_dashboard_that_somebody_saves_meanwhile_is_not_overwritten(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [dashboard()], [])
    port = GrafanaPort(config.grafana)
    read = port.dashboard("qianshao-a")
    assert read is not None
    seen = copy.deepcopy(read.model)
    server.dashboards["qianshao-a"]["model"]["version"] += 1
    with pytest.raises(StoreError, match=r"dashboard qianshao-a: .*412.*changed by someone else"):
        port.save_dashboard(seen, "qianshao", "")
    port.close()


@pytest.mark.parametrize("folder", ["", "qianshao"])
def test_a_dashboard_without_our_tag_is_refused_before_anything_is_written(
    server: StrictGrafana, config: Config, folder: str
) -> None:
    foreign = {"id": 7, "uid": "qianshao-a", "title": "别人的", "tags": ["ops"], "version": 3}
    server.dashboards["qianshao-a"] = {"model": foreign, "folder": folder}
    before = held(server)
    with pytest.raises(StoreError, match=r"dashboard qianshao-a \(别人的\) has no tag 'qianshao'.*somebody else's"):
        push_dashboards(config, [dashboard("qianshao-b"), dashboard()], [])
    assert server.writes() == []
    assert held(server) == before


def test_a_data_source_of_another_type_under_our_uid_is_refused(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [], [])
    server.sources["qianshao-clickhouse"]["type"] = "mysql"
    server.requests.clear()
    with pytest.raises(StoreError, match="data source qianshao-clickhouse is of type mysql"):
        push_dashboards(config, [dashboard()], [])
    assert server.writes() == []


def test_an_alert_rule_in_another_folder_under_our_uid_is_refused(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [], [rule()])
    server.rules["qianshao-late"]["folderUID"] = "ops"
    with pytest.raises(StoreError, match=r"alert rule qianshao-late .* is in folder ops"):
        push_dashboards(config, [], [rule()])


def test_what_is_provisioned_from_files_is_left_to_them(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [dashboard()], [])
    server.sources["qianshao-clickhouse"].update(readOnly=True, jsonData={"host": "clickhouse"})
    server.provisioned.add("qianshao-a")
    assert {change.action for change in push_dashboards(config, [dashboard()], [])} == {"unchanged"}
    with pytest.raises(StoreError, match="dashboard qianshao-a is provisioned from a file and differs"):
        push_dashboards(config, [dashboard(title="新")], [])


def test_what_our_code_no_longer_has_is_named_and_left_alone(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [dashboard(), dashboard("qianshao-old", "旧")], [rule(), rule("qianshao-gone", "旧规则")])
    before = held(server)
    changes = push_dashboards(config, [dashboard()], [rule()])
    assert actions(changes)[-2:] == [
        ("dashboard", "qianshao-old", "removed"),
        ("alert rule", "qianshao-gone", "removed"),
    ]
    assert held(server) == before


def test_a_new_password_is_noticed_and_none_is_ever_shown(
    server: StrictGrafana, config: Config, tmp_path: Path
) -> None:
    first = push_dashboards(config, [], [])
    assert server.passwords["qianshao-clickhouse"] == {"password": "第一个 password"}
    (tmp_path / "password").write_text("第二个 password")
    second = push_dashboards(config, [], [])
    assert actions(second)[1] == ("data source", "qianshao-clickhouse", "updated")
    assert server.passwords["qianshao-clickhouse"] == {"password": "第二个 password"}
    shown = "".join(change.diff for change in (*first, *second)) + str(server.sources)
    assert "个 password" not in shown
    assert ADMIN not in shown


@pytest.mark.parametrize(
    "permission",
    ["folders:read", "folders:create", "datasources:create", "dashboards:create", "alert.provisioning:write"],
)
def test_a_missing_permission_is_named(server: StrictGrafana, config: Config, permission: str) -> None:
    server.tokens[ADMIN] = ADMIN_PERMISSIONS - {permission}
    with pytest.raises(AccessError, match=f"lacks permission {permission}") as error:
        push_dashboards(config, [dashboard()], [rule()])
    assert not error.value.retryable
    assert ADMIN not in str(error.value)


def test_a_push_that_broke_off_goes_on_from_there(server: StrictGrafana, config: Config) -> None:
    server.tokens[ADMIN] = ADMIN_PERMISSIONS - {"dashboards:create"}
    with pytest.raises(AccessError):
        push_dashboards(config, [dashboard()], [])
    server.tokens[ADMIN] = ADMIN_PERMISSIONS
    changes = push_dashboards(config, [dashboard()], [])
    assert [change.action for change in changes] == ["unchanged", "unchanged", "created"]


def test_a_wrong_token_is_told_from_a_missing_permission(server: StrictGrafana, config: Config, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("glsa_old_token")
    with pytest.raises(AccessError, match=r"token is not valid \(401\)") as error:
        push_dashboards(config, [], [])
    assert "glsa_old_token" not in str(error.value)


@pytest.mark.parametrize("mode", ["errors", "busy", "slow", "cut", "down"])
def test_no_answer_is_an_error_that_may_pass(server: StrictGrafana, config: Config, mode: Any) -> None:
    if mode == "down":
        server.stop()
    else:
        server.mode = mode
    port = GrafanaPort(config.grafana, timeout_seconds=0.1)
    with pytest.raises(UnavailableError) as error:
        port.folder("qianshao")
    port.close()
    assert error.value.retryable
    assert str(error.value).startswith(f"Grafana {server.url}: folder qianshao")
    assert ADMIN not in str(error.value)
    chain = error.value.__cause__, error.value.__suppress_context__
    assert chain == (None, True)


def test_a_page_that_is_not_grafana_is_told(server: StrictGrafana, config: Config) -> None:
    server.mode = "page"
    with pytest.raises(StoreError, match="is not Grafana's interface"):
        push_dashboards(config, [], [])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": None}, "grafana.url: is not set"),
        ({"url": "ftp://grafana"}, "grafana.url: is not an address"),
        ({"url": "http://admin:hunter2@grafana"}, "grafana.url: holds a user or password"),
        ({"token_file": None}, "grafana.token_file: there is no token"),
    ],
)
def test_a_wrong_section_is_told_by_its_key(config: Config, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        push_dashboards(with_grafana(config, **fields), [], [])
    assert "hunter2" not in str(error.value)


def test_the_token_is_in_no_address_and_no_representation(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [dashboard()], [rule()])
    examine(config, [dashboard()], [rule()])
    assert not [path for _, path in server.requests if ADMIN in path]
    port = GrafanaPort(config.grafana)
    assert ADMIN not in repr(port)
    port.close()


def test_a_dashboard_without_our_tag_is_not_pushed(config: Config) -> None:
    with pytest.raises(ConfigError, match="lacks the tag 'qianshao'"):
        push_dashboards(config, [{**dashboard(), "tags": []}], [])


# What an examination finds


def findings(config: Config) -> dict[str, tuple[bool | None, str]]:
    return {found.part: (found.ok, found.detail) for found in examine(config, [dashboard()], [rule()])}


def test_an_examination_of_a_grafana_in_order_finds_nothing_wrong(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [dashboard()], [rule()])
    server.requests.clear()
    assert {part: ok for part, (ok, _) in findings(config).items()} == {
        "Grafana": True,
        "Grafana token": True,
        "Grafana folder": True,
        "Grafana plugin": True,
        "Grafana data source": True,
        "Grafana dashboards": True,
    }
    assert server.writes() == []


def test_an_examination_names_each_missing_part(server: StrictGrafana, config: Config) -> None:
    server.plugins.clear()
    server.tokens[ADMIN] = ADMIN_PERMISSIONS - {"alert.provisioning:write", "annotations:create"}
    found = findings(config)
    assert [part for part, (ok, _) in found.items() if ok] == ["Grafana"]
    assert "lacks alert.provisioning:write, annotations:create" in found["Grafana token"][1]
    assert "folder 前哨 Qianshao is not there" in found["Grafana folder"][1]
    assert "plugin grafana-clickhouse-datasource is not installed" in found["Grafana plugin"][1]
    assert "is not there" in found["Grafana data source"][1]
    assert "run `qianshao dashboards push`" in found["Grafana dashboards"][1]


def test_an_examination_tells_stale_dashboards_and_a_silent_data_source(server: StrictGrafana, config: Config) -> None:
    push_dashboards(config, [dashboard(title="旧")], [rule()])
    server.source_trouble = "connect: connection refused"
    found = findings(config)
    assert "connection refused" in found["Grafana data source"][1]
    assert found["Grafana dashboards"] == (
        False,
        "not as this version has them: dashboard 客服 100% & 热点 <b>; run `qianshao dashboards push`",
    )


def test_an_examination_asks_no_further_where_nothing_answers(
    server: StrictGrafana, config: Config, tmp_path: Path
) -> None:
    server.version = "9.5.2"
    assert findings(config)["Grafana"][1].endswith("is Grafana 9.5.2; 10.0 or newer is needed")
    server.version = "12.1.0-86301"
    (tmp_path / "token").write_text("old")
    assert {part: ok for part, (ok, _) in findings(config).items()} == {"Grafana": True, "Grafana token": False}
    server.stop()
    ((part, (ok, detail)),) = findings(config).items()
    assert (part, ok) == ("Grafana", False)
    assert "no answer" in detail
    assert findings(with_grafana(config, token_file=None))["Grafana"][0] is False
    assert findings(with_grafana(config, url=None))["Grafana"][0] is None


def test_the_permissions_that_are_asked_for_are_all_that_is_used(server: StrictGrafana, config: Config) -> None:
    server.tokens[ADMIN] = frozenset(PERMISSIONS)
    push_dashboards(config, [dashboard()], [rule()])
    push_dashboards(with_grafana(config, folder="新"), [dashboard(title="新")], [rule(title="新")])
    assert all(found.ok for found in examine(config))


def test_an_unforeseen_refusal_is_told_with_grafanas_own_words(server: StrictGrafana, config: Config) -> None:
    with pytest.raises(QianshaoError, match=r"alert rule qianshao-late: refused \(400: .*no field wrong"):
        push_dashboards(config, [], [{**rule(), "wrong": 1}])


def test_a_token_that_grafana_repeats_is_not_shown(server: StrictGrafana, config: Config) -> None:
    with pytest.raises(QianshaoError, match=r"no field \*\*\*") as error:
        push_dashboards(config, [], [{**rule(), ADMIN: 1}])
    assert ADMIN not in str(error.value)


# From the command line


@pytest.fixture
def file(config: Config, tmp_path: Path) -> Path:
    path = tmp_path / "qianshao.toml"
    path.write_text(f'[grafana]\nurl = "{config.grafana.url}"\ntoken_file = "{config.grafana.token_file}"\n', "utf-8")
    return path


def test_the_command_pushes_says_what_it_did_and_has_nothing_to_do_again(
    server: StrictGrafana, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dashboards", "push", "--config", str(file), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert server.writes() == []
    assert "nothing was written" in shown
    assert '+  "title": "前哨 Qianshao"' in shown
    assert main(["dashboards", "push", "--config", str(file)]) == 0
    shown = capsys.readouterr().out
    assert f"{len(server.dashboards) + len(server.rules) + 2} created" in shown
    assert '"title"' not in shown
    assert main(["dashboards", "push", "--config", str(file)]) == 0
    assert f"{len(server.dashboards) + len(server.rules) + 2} unchanged" in capsys.readouterr().out


def test_the_command_tells_failing_from_a_wrong_configuration(
    server: StrictGrafana, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.mode = "errors"
    assert main(["dashboards", "push", "--config", str(file)]) == 1
    assert "database is locked" in capsys.readouterr().err
    (tmp_path / "empty.toml").write_text("")
    assert main(["dashboards", "push", "--config", str(tmp_path / "empty.toml")]) == 2
    assert "grafana.url" in capsys.readouterr().err
