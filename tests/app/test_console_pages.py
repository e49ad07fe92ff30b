"""The live page over real HTTP."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import msgspec
import pytest
import uvicorn

from qianshao.app.card import Lead
from qianshao.app.console.headline import headline
from qianshao.app.console.pages import Reader, console_app
from qianshao.app.console.scene import Scene
from qianshao.app.console.server import address, listen, serve
from qianshao.errors import ConfigError, StoreError
from qianshao.incident import IncidentChange, Similar

MakeChange = Callable[..., IncidentChange]
Serve = Callable[[Reader], str]


@pytest.fixture(scope="module")
def serving() -> Iterator[Serve]:
    """Serve readers on free ports until the module is over."""
    ends: list[Callable[[], None]] = []

    def begin(reader: Reader) -> str:
        listener = listen("127.0.0.1", 0, search=False)
        url = address(listener)
        servers: list[uvicorn.Server] = []
        app = console_app(reader, leads={"inc-3f9a12c0": Lead(minutes=23.0)}, host="127.0.0.1")
        thread = threading.Thread(target=serve, args=(app, listener, servers.append))
        thread.start()

        def end() -> None:
            servers[0].should_exit = True
            thread.join(timeout=20)
            assert not thread.is_alive()

        ends.append(end)
        return url

    yield begin
    for end in ends:
        end()


@pytest.fixture(scope="module")
def page(serving: Serve, reader: Reader) -> Iterator[httpx.Client]:
    """A client of the small world."""
    with httpx.Client(base_url=serving(reader), timeout=20) as client:
        yield client


class Links(HTMLParser):
    """Collects where a page leads, what it loads and which scripts it carries."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a":
            self.links.append(values.get("href") or "")
        if tag in ("script", "link", "img"):
            self.loads.append(values.get("src") or values.get("href") or "")
        if tag == "script" and "src" not in values:
            self.inline.append("script")
        self.inline += [name for name in values if name == "style" or name.startswith("on")]


def test_the_first_thing_on_the_page_is_one_sentence_of_status(page: httpx.Client) -> None:
    text = page.get("/").text
    assert (
        "<h1>1 起批量故障正在发生：智能门锁 L2 固件 2.2.0 设备离线，代码 E207，影响 201 位客户，始于 14:02</h1>" in text
    )
    assert '<html lang="zh-CN">' in text


def test_the_page_says_that_the_recorded_world_is_over(page: httpx.Client) -> None:
    assert "回放已结束" in page.get("/").text


def test_an_evidence_card_is_one_click_from_the_overview(page: httpx.Client) -> None:
    links = Links(page.get("/").text).links
    assert "/incidents/inc-3f9a12c0" in links
    card = page.get("/incidents/inc-3f9a12c0").text
    for content in (
        "设备代码 E207",
        "131",
        "昨晚升级以后门锁一直离线",
        "比固定阈值早 23 分钟",
        "受影响的客户继续增加",
        "14:03",
    ):
        assert content in card


def test_customers_words_are_text_and_never_markup(page: httpx.Client) -> None:
    card = page.get("/incidents/inc-3f9a12c0").text
    assert "<script>alert" not in card
    assert "&lt;script&gt;alert" in card
    assert "\x1b" not in card


@pytest.mark.parametrize("path", ["/", "/incidents/inc-3f9a12c0", "/incidents/none"])
def test_pages_load_only_what_we_serve_and_carry_no_inline_code(page: httpx.Client, path: str) -> None:
    links = Links(page.get(path).text)
    assert links.inline == []
    assert links.loads
    for asset in links.loads:
        assert page.get(asset).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api/status", "/static/console.css", "/nowhere", "/api/incidents/none"]
)
def test_every_answer_carries_the_security_headers(page: httpx.Client, path: str) -> None:
    headers = page.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "server" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_foreign_host_name_is_refused_on_loopback(page: httpx.Client, host: str) -> None:
    answer = page.get("/", headers={"host": host})
    assert answer.status_code in (400, 421)
    assert "智能门锁" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "[::1]:9"])
def test_loopback_names_are_accepted(page: httpx.Client, host: str) -> None:
    assert page.get("/healthz", headers={"host": host}).text == "ok\n"


def test_what_is_not_there_is_said_in_chinese_with_a_way_back(page: httpx.Client) -> None:
    answer = page.get("/incidents/inc-none")
    assert answer.status_code == 404
    assert "没有名为 inc-none 的事件" in answer.text
    assert "回到总览" in answer.text
    assert page.get("/nowhere").status_code == 404
    assert page.post("/").status_code == 405
    assert page.get("/static/../pages.py").status_code == 404
    assert page.get("/static/%2e%2e/pages.py").status_code == 404


def test_machines_read_the_same_state(page: httpx.Client) -> None:
    status = page.get("/api/status").json()
    assert status["open"] == 1
    assert status["now"] == "2026-03-02T14:40:00.000+08:00"
    assert status["deadletters"] == {"not_json": 12, "implausible_timestamp": 3}
    incidents = page.get("/api/incidents").json()["incidents"]
    assert [incident["incident"] for incident in incidents] == ["inc-3f9a12c0", "inc-77aa"]
    one = page.get("/api/incidents/inc-3f9a12c0").json()
    assert one["card"]["lead"] == "比固定阈值早 23 分钟"
    assert [change["version"] for change in one["history"]] == [1, 2, 3]
    assert page.get("/api/incidents/none").status_code == 404


def test_an_incident_shows_what_it_is_like_and_what_explains_it_as_text(
    serving: Serve, reader: Reader, make_change: MakeChange
) -> None:
    past = Similar(
        incident="inc-0",
        title="<b>门锁</b> 设备离线",
        opened_at="2025-12-01T10:00:00.000+08:00",
        resolved_at="2025-12-01T16:00:00.000+08:00",
        why=["same_code"],
        verdict="false",
        said="<script>1</script>",
    )
    held = make_change(
        incident="c", status="watching", opened_at=None, parent="inc-3f9a12c0", similar=[past], maintenance="<i>割接"
    )

    class Held:
        scene = reader.scene

        def history(self, incident: str) -> list[IncidentChange]:
            return [held]

    text = httpx.get(f"{serving(Held())}incidents/c", timeout=20).text
    assert "类似的往次" in text
    assert '<a href="/incidents/inc-0">&lt;b&gt;门锁&lt;/b&gt; 设备离线</a> 同一设备代码；当时判为误报：' in text
    assert "<script>1" not in text
    assert "&lt;i&gt;割接" in text
    assert '<dt>由其解释</dt><dd><a href="/incidents/inc-3f9a12c0">' in text


def test_a_store_that_fails_is_reported_and_not_a_stack_trace(serving: Serve, reader: Reader) -> None:
    class Broken:
        def scene(self) -> object:
            raise StoreError("store /x: cannot answer (disk); check the disk")

        history = reader.history

    answer = httpx.get(serving(Broken()), timeout=20)  # type: ignore[arg-type]
    assert answer.status_code == 503
    assert "check the disk" in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_busy_port_is_an_error_that_says_what_to_do_or_the_next_one_is_taken() -> None:
    first = listen("127.0.0.1", 0, search=False)
    try:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"console.port {port}.*set another console.port"):
            listen("127.0.0.1", port, search=False)
        second = listen("127.0.0.1", port, search=True)
        assert port < second.getsockname()[1] <= port + 20
        second.close()
    finally:
        first.close()


def test_the_headline_names_the_worst_of_several(make_change: MakeChange) -> None:
    small = make_change(incident="b", severity="P3", title="华北 物流延误：已影响 11 位客户", customers=11)
    text = headline([small, make_change()], 0).text
    assert text.startswith("2 起批量故障正在发生，最严重的是智能门锁")
    assert text.count("143 位客户") == 1


def test_the_headline_is_calm_when_everything_is_over(make_change: MakeChange) -> None:
    over = make_change(status="resolved")
    assert headline([over], 0).tone == "calm"
    assert headline([over], 0).text == "一切正常：此前的 1 起批量故障均已结束"
    assert headline([], 2).tone == "watch"


class Moving:
    """A reader whose world moves between two looks: the incident is over at the second."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._looks = 0

    def scene(self) -> Scene:
        self._looks += 1
        scene = self._reader.scene()
        if self._looks == 1:
            return scene
        over = [msgspec.structs.replace(incident, status="resolved") for incident in scene.incidents]
        return msgspec.structs.replace(scene, incidents=over)

    def history(self, incident: str) -> list[IncidentChange]:
        return self._reader.history(incident)


@pytest.fixture
def browse(require: Callable[[str, bool, str], None], tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Open an address in a real browser; return the document as it then stands, and what the browser logged."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    require("browser", browser is not None, "no Chromium on this machine: the page was only checked over HTTP")
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync --enable-logging=stderr --dump-dom"

    def look(url: str, *more: str) -> tuple[str, str]:
        command = [str(browser), *options.split(), f"--user-data-dir={tmp_path}", *more, url]
        seen = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
        return seen.stdout, seen.stderr

    return look


def test_a_real_browser_shows_the_sentence_and_the_chart(
    serving: Serve, reader: Reader, browse: Callable[..., tuple[str, str]]
) -> None:
    document, log = browse(serving(reader))
    assert "1 起批量故障正在发生" in document
    assert 'class="observed"' in document
    assert "Refused to" not in log, "the page breaks its own content security policy"
    assert "violates" not in log, "the page breaks its own content security policy"


def test_an_open_page_follows_the_world_without_being_loaded_again(
    serving: Serve, reader: Reader, browse: Callable[..., tuple[str, str]]
) -> None:
    document, _ = browse(serving(Moving(reader)), "--virtual-time-budget=12000")
    assert "此前的 2 起批量故障均已结束" in document
    assert "正在发生：" not in document
    assert "data-stale" not in document
