"""The demonstration, as a person starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from qianshao.config import KEY_ENVIRONMENT_VARIABLE


def test_the_demo_shows_cards_then_serves_the_page_until_ctrl_c_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != KEY_ENVIRONMENT_VARIABLE}
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from qianshao.app.cli import main; sys.exit(main())", "demo", "--serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
        encoding="utf-8",
        env={**environment, "TMPDIR": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        # A shell that starts us in the background ignores Ctrl-C for its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("页面 "):
                break
        address = re.search(r"http://\S+?/", said[-1])
        assert address is not None, said
        queries = re.search(r"^查询端口 (http://\S+?/)", said[-2])
        assert queries is not None, said
        counted = httpx.post(queries[1], content="SELECT count() FROM counted_events", timeout=30).text
        status = httpx.get(f"{address[0]}api/status", timeout=30).json()
        page = httpx.get(address[0], timeout=30).text
        incidents = httpx.get(f"{address[0]}api/incidents", timeout=30).json()["incidents"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    text = "".join(said)
    opened = next(place for place, line in enumerate(said) if "立案" in line)
    card = next(place for place, line in enumerate(said) if line.startswith("╭"))
    assert opened < card, "an incident is told when it opens, before all cards"
    assert "智能门锁" in text
    assert re.search(r"固定阈值", text)
    assert re.search(r"读入 [\d,]+ 条 = 计入", text)
    assert "一条也没有发送" in text
    assert status["accounting"]["read"] > 10_000
    assert int(counted) == status["accounting"]["counted"]
    assert any("智能门锁" in incident["title"] for incident in incidents)
    assert incidents[0]["title"].partition("：已影响")[0] in page
    for incident in incidents:
        assert incident["why"] != incident["reason"], "every reason that the desk gives is said in Chinese"
    assert list(tmp_path.iterdir()) == []
