"""What people with Docker start: exact versions, loopback only, no secret in a file, and settings that are ours."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest

from qianshao.config import load_config
from sinks.dashboards import PLUGIN, generated_files
from sinks.examination import PRIVILEGES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "compose"
COMPOSE = (ROOT / "compose.yaml").read_text("utf-8")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
VARIABLES = dict(
    line.split("=", 1)
    for line in (DEPLOY / "env.example").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)


def test_every_image_has_an_exact_version() -> None:
    images = re.findall(r"image: (\S+)", COMPOSE) + re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    foreign = [image for image in images if image != "qianshao:local"]
    assert len(foreign) == 5
    assert all(re.fullmatch(r"[a-z/-]+:\d+\.\d+\.\d+(\.\d+)?(-slim-bookworm)?", image) for image in foreign)
    assert re.search(rf"GF_PLUGINS_PREINSTALL_SYNC: {PLUGIN}@\d+\.\d+\.\d+$", COMPOSE, flags=re.MULTILINE)


def test_every_port_listens_on_this_machine_only() -> None:
    ports = re.findall(r"ports: \[(.*)\]", COMPOSE)
    assert len(ports) == 4
    assert all(re.fullmatch(r'"127\.0\.0\.1:\d+:\d+"', port) for port in ports)


def test_every_service_says_when_it_is_healthy() -> None:
    services = re.findall(r"^  (\w+):\n    <<: \*hardened", COMPOSE, flags=re.MULTILINE)
    assert services == ["kafka", "clickhouse", "grafana", "qianshao"]
    assert COMPOSE.count("healthcheck:") == len(services)


def test_a_secret_stands_in_no_file_and_a_missing_one_is_refused() -> None:
    asked = set(re.findall(r"\$\{(\w+)", COMPOSE))
    assert asked == set(VARIABLES)
    secrets = {name for name in asked if name != "QIANSHAO_LANGUAGE"}
    assert {name for name in secrets if VARIABLES[name]} == set()
    for name in secrets:
        assert set(re.findall(rf"\$\{{{name}(.)", COMPOSE)) == {":"}, name
        assert f"${{{name}:?" in COMPOSE
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_grafana_is_given_what_the_provisioning_files_ask_for() -> None:
    files = {name: text for name, text in generated_files().items() if name.startswith("provisioning/")}
    asked = {name for text in files.values() for name in re.findall(r'"\$(QIANSHAO_\w+)"', text)}
    grafana = COMPOSE[COMPOSE.index("  grafana:\n") : COMPOSE.index("  qianshao:\n")]
    assert asked == set(re.findall(r"^      (QIANSHAO_\w+):", grafana, flags=re.MULTILINE))
    mounted = re.findall(r"- \./(dashboards/\S+?):/", grafana.replace("${QIANSHAO_LANGUAGE:-zh}", "zh"))
    assert len(mounted) == 4
    assert all((ROOT / path).is_dir() for path in mounted)


def test_the_configuration_is_one_that_we_read() -> None:
    config = load_config(DEPLOY / "qianshao.toml")
    assert config.kafka.bootstrap is not None
    assert config.kafka.bootstrap in COMPOSE
    assert config.run.state in DOCKERFILE
    assert f'["127.0.0.1:{config.console.port}:{config.console.port}"]' in COMPOSE


def test_the_users_may_do_what_they_must_and_no_more() -> None:
    users = ElementTree.parse(DEPLOY / "clickhouse_users.xml").getroot().find("users")
    assert users is not None
    grants = {user.tag: [str(query.text) for query in user.iter("query")] for user in users}
    config = load_config(DEPLOY / "qianshao.toml")
    (writes,) = grants[config.clickhouse.user]
    assert {each.strip() for each in writes.removeprefix("GRANT ").split(" ON ")[0].split(",")} >= set(PRIVILEGES)
    assert grants[config.grafana.clickhouse_user] == [f"GRANT SELECT ON {config.clickhouse.database}.*"]
    assert all(password.text is None for password in users.iter("password"))


def test_the_image_holds_every_package_and_runs_without_root() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, flags=re.MULTILINE) == packages["packages"]
    let_in = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert {f"!{name}/" for name in packages["packages"]} <= set(let_in)
    assert DOCKERFILE.index("USER qianshao") < DOCKERFILE.index("ENTRYPOINT")
    installs = re.findall(r"pip install (.*?)(?: \\)?$", DOCKERFILE, flags=re.MULTILINE)
    assert all("--require-hashes" in each or "--no-deps" in each for each in installs)


def test_docker_reads_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not here")
    told = {name: value or "x" * 24 for name, value in VARIABLES.items()}
    run = subprocess.run(
        [docker, "compose", "config", "--format", "json"],
        cwd=ROOT,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert set(json.loads(run.stdout)["services"]) == {"kafka", "clickhouse", "grafana", "qianshao"}
