"""The command line: what others script against."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qianshao import __version__
from qianshao.errors import OutputError, QianshaoError

if TYPE_CHECKING:
    from qianshao.config import Console

# Heavy parts are imported inside the commands: `--help` and a wrong option answer at once, and the demo's first line is
# on the screen before the engines are loaded.

PATH = click.Path(path_type=Path)

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="qianshao")
def cli() -> None:
    """前哨 Qianshao: early warning for customer-service centres."""


@cli.command()
@click.option("--out", type=PATH, help="Keep the files of the run in this new or empty folder.")
@click.option("--serve/--no-serve", default=None, help="Serve the live page afterwards [default: only on a terminal].")
def demo(out: Path | None, serve: bool | None) -> None:
    """Play the recorded smart-lock world through everything, show evidence cards, then serve the live page."""
    from qianshao.app.demonstration import run_demonstration

    raise SystemExit(run_demonstration(out, sys.stdout.isatty() if serve is None else serve))


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH…")
@click.option("--out", required=True, type=PATH, help="New or empty folder for everything that is written.")
@click.option("--truth", type=PATH, help="Labels (truth.json): score the incidents, with two baselines beside.")
@click.option("--calendar", type=PATH, help="Planned days: CSV date,name,line,expected_multiplier.")
@click.option("--config", type=PATH, help="Configuration (TOML); see qianshao.example.toml.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Number of processes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to standard output and nothing else.")
def replay(
    paths: tuple[Path, ...],
    out: Path,
    truth: Path | None,
    calendar: Path | None,
    config: Path | None,
    workers: int,
    as_json: bool,
) -> None:
    """Run event files (.jsonl, .jsonl.gz) through the whole dataflow in event time, as fast as it goes."""
    from qianshao.app import rehearsal
    from qianshao.app.progress import Gauge
    from qianshao.app.summary import summary_table
    from qianshao.app.terminal import screen

    order = rehearsal.check(paths, out, truth=truth, calendar=calendar, config=config, workers=workers)
    with Gauge(screen(stderr=True), "replay") as shown:
        report = rehearsal.rehearse(order, lambda fraction, outcome: shown.show(fraction))
    if as_json:
        print_json(report.summary)
    else:
        screen(stderr=False).print(summary_table(report))
    if report.failure:
        raise QianshaoError(report.failure)


@cli.command()
@click.option("--seed", required=True, type=int, help="The same seed gives the same world.")
@click.option("--hours", required=True, type=click.FloatRange(min=0, min_open=True), help="Length in event time.")
@click.option("--rate", required=True, type=click.FloatRange(min=0, min_open=True), help="Mean events per second.")
@click.option("--out", required=True, type=PATH, help="New or empty folder.")
def world(seed: int, hours: float, rate: float, out: Path) -> None:
    """Write a synthetic world: events.jsonl.gz, truth.json, calendar.csv."""
    from flows.sources.world import write_world
    from qianshao.app.progress import Gauge
    from qianshao.app.terminal import screen
    from sinks.files import prepare_output

    prepare_output(out)
    with Gauge(screen(stderr=True), "world") as shown:
        try:
            written = write_world(seed, hours, rate, out, progress=shown.show)
        except OSError as error:
            raise OutputError(
                f"{out}: cannot be written ({error.strerror}); free space or name another folder"
            ) from None
    kinds = len({kind for _, kind, _, _ in written.incidents})
    click.echo(
        f"{out}: {written.lines:,} lines, {len(written.incidents)} incidents of {kinds} kinds, "
        f"{len(written.decoys)} decoys"
    )


TASK = click.Choice(["topic", "sentiment"])


@cli.command()
@click.argument("task", type=TASK)
@click.option("--data", required=True, type=PATH, help="CSV with the columns text,label; may be gzipped.")
@click.option("--out", required=True, type=PATH, help="New or empty folder for the model.")
@click.option("--words", type=PATH, help="Words of your own that must stay whole, one a line: products, models, codes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to standard output and nothing else.")
def train(task: str, data: Path, out: Path, words: Path | None, as_json: bool) -> None:
    """Fit a topic or sentiment model on your own labelled texts, and say how good it is on texts it did not see."""
    import time

    from qianshao.app.judgement import judgement_report
    from qianshao.app.progress import Gauge
    from qianshao.app.terminal import screen
    from qianshao.app.text_models import figures, train_model
    from qianshao.clock import to_rfc3339
    from qianshao.config import Config

    created = to_rfc3339(time.time_ns() // 1_000_000, Config().service.zone)
    with Gauge(screen(stderr=True), "train") as shown:
        manifest, judgement = train_model(task, data, out, vocabulary=words, created=created, tell=shown.show)
    if as_json:
        print_json(
            {"model": str(out), "version": manifest.version, "how": manifest.metrics["how"], **figures(judgement)}
        )
    else:
        screen(stderr=False).print(judgement_report(judgement, f"{out}：{manifest.metrics['how']}"))


@cli.command()
@click.argument("task", type=TASK)
@click.option("--model", required=True, type=PATH, help="Folder written by `qianshao train`.")
@click.option("--data", required=True, type=PATH, help="CSV with the columns text,label; may be gzipped.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to standard output and nothing else.")
def evaluate(task: str, model: Path, data: Path, as_json: bool) -> None:
    """Compare a model with labelled texts: accuracy, macro F1, confusions, the worst mistakes, speed."""
    from qianshao.app.judgement import judgement_report
    from qianshao.app.progress import Gauge
    from qianshao.app.terminal import screen
    from qianshao.app.text_models import evaluate_model, figures

    with Gauge(screen(stderr=True), "evaluate") as shown:
        judgement = evaluate_model(task, model, data, shown.show)
    if as_json:
        print_json(figures(judgement))
    else:
        screen(stderr=False).print(judgement_report(judgement, f"{model}：{data}"))


@cli.command()
@click.argument("task", type=TASK)
@click.option("--model", required=True, type=PATH, help="Folder written by `qianshao train`.")
@click.option("--data", required=True, type=PATH, help="CSV with a column text; may be gzipped.")
@click.option("--out", required=True, type=PATH, help="CSV to write: the same rows with predicted and confidence.")
def predict(task: str, model: Path, data: Path, out: Path) -> None:
    """Label every text of a CSV file, with a calibrated confidence beside each label."""
    from qianshao.app.progress import Gauge
    from qianshao.app.terminal import screen
    from qianshao.app.text_models import predict_file

    with Gauge(screen(stderr=True), "predict") as shown:
        rows = predict_file(task, model, data, out, shown.show)
    click.echo(f"{out}: {rows:,} texts labelled")


@cli.command()
@click.argument("counts", type=PATH, metavar="COUNTS")
@click.option(
    "--bin", "bin_name", required=True, type=click.Choice(["1d", "1h", "5min", "1min"]), help="Length of a bin."
)
@click.option(
    "--out", required=True, type=PATH, help="New file for the scores (.npz); a picture (.svg) goes beside it."
)
@click.option(
    "--false-alarms-per-day",
    type=click.FloatRange(min=0, min_open=True, max=1e6),
    default=1.0,
    show_default=True,
    help="Budget of false alarms over all series together.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to standard output and nothing else.")
def detect(counts: Path, bin_name: str, out: Path, false_alarms_per_day: float, as_json: bool) -> None:
    """Run the detector bank over your own counts: .npz with `counts`, or CSV with bin_start,series,count."""
    from qianshao.app.detect import detect_file, detection_figures, detection_report
    from qianshao.app.progress import Gauge
    from qianshao.app.terminal import screen
    from qianshao.config import Config

    with Gauge(screen(stderr=True), "detect") as shown:
        found, spells, drawn = detect_file(
            counts,
            bin_name,
            out,
            false_alarms_per_day=false_alarms_per_day,
            zone=Config().service.zone,
            tell=shown.show,
        )
    if as_json:
        print_json(detection_figures(found, spells))
    else:
        screen(stderr=False).print(detection_report(found, spells, out, drawn))


@cli.command()
@click.argument("part", type=click.Choice(["pipeline", "text", "detect", "dashboards"]), default="pipeline")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to standard output and nothing else.")
def bench(part: str, as_json: bool) -> None:
    """Measure this project on fixed, seeded work.

    `pipeline`: the whole replay beside a plain loop over the same records. `text`: raw texts to labels on one core
    beside jieba and scikit-learn. `detect`: what a tick of the detector bank costs, and which share of simulated
    incidents it detects. `dashboards`: every query of the Grafana dashboards over ninety days.
    """
    from qianshao.app.bench import bench_pipeline
    from qianshao.app.summary import bench_table
    from qianshao.app.terminal import screen

    screen(stderr=True).print(f"bench {part}: this takes about a minute …")
    if part == "text":
        from qianshao.app.bench_text import bench_text, bench_text_table

        read = bench_text()
        if as_json:
            print_json(read)
        else:
            screen(stderr=False).print(bench_text_table(read))
        return
    if part == "detect":
        from qianshao.app.bench_detect import bench_detect, bench_detect_table
        from qianshao.app.progress import Gauge

        with Gauge(screen(stderr=True), "bench detect") as shown:
            detected = bench_detect(shown.show)
        if as_json:
            print_json(detected)
        else:
            screen(stderr=False).print(bench_detect_table(detected))
        return
    if part == "dashboards":
        from qianshao.app.bench_dashboards import LIMIT_MS, bench_dashboards, dashboards_table, figures, too_slow

        times = bench_dashboards(tell=screen(stderr=True).print)
        if as_json:
            print_json(figures(times))
        else:
            screen(stderr=False).print(dashboards_table(times))
        slow = too_slow(times)
        if slow:
            raise QianshaoError(
                f"bench dashboards: {len(slow)} queries take longer than {LIMIT_MS} ms, the slowest "
                f"{slow[0].dashboard} {slow[0].panel} with {slow[0].milliseconds:,.0f} ms"
            )
        return
    measured = bench_pipeline()
    if as_json:
        print_json(measured)
    else:
        screen(stderr=False).print(bench_table(measured))


@cli.command()
@click.option("--config", required=True, type=PATH, help="Configuration (TOML); see qianshao.example.toml.")
def run(config: Path) -> None:
    """Run the service: events from Kafka, decisions to every sink, the live page; until Ctrl-C or SIGTERM."""
    from qianshao.app.service import run_service

    run_service(config)


@cli.command()
@click.option("--config", required=True, type=PATH, help="Configuration (TOML); see qianshao.example.toml.")
@click.option("--dry-run", is_flag=True, help="Only list what would be done; change nothing.")
def migrate(config: Path, dry_run: bool) -> None:
    """Bring the tables of the store to this program's version; every start does so too."""
    from qianshao.config import load_config
    from sinks.clickhouse import open_store, pending_migrations

    loaded = load_config(config)
    place = loaded.run.store
    steps = pending_migrations(loaded.clickhouse, place)
    if not dry_run:
        open_store(loaded.clickhouse, place).close()
    for step in steps:
        click.echo(f"{'pending' if dry_run else 'done'}: {step.version} {step.name}")
    if not steps:
        click.echo("nothing to do: the tables are of the newest version")


@cli.command()
@click.option("--config", required=True, type=PATH, help="Configuration (TOML); see qianshao.example.toml.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to standard output and nothing else.")
def doctor(config: Path, as_json: bool) -> None:
    """Look at everything that the service needs and name what is missing or wrong; exit 1 if anything is."""
    from datetime import UTC, datetime

    import msgspec

    from qianshao.app.doctor import diagnose, diagnosis_table
    from qianshao.app.terminal import screen

    found = diagnose(config, datetime.now(tz=UTC).date())
    if as_json:
        print_json([msgspec.to_builtins(each) for each in found])
    else:
        screen(stderr=False).print(diagnosis_table(found))
    if any(each.ok is False for each in found):
        click.get_current_context().exit(1)


@cli.group()
def incidents() -> None:
    """Incidents of a replay or of the running service."""


FROM = click.option("--from", "place", type=PATH, help="Folder of a replay, or its incidents.jsonl.")
SERVICE = click.option("--config", type=PATH, help="Configuration of the running service, whose page is asked.")


@incidents.command("list")
@FROM
@SERVICE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to standard output and nothing else.")
def list_incidents(place: Path | None, config: Path | None, as_json: bool) -> None:
    """List the incidents that were reported: id, severity, state, title."""
    import msgspec

    from qianshao.app.card import build_card
    from qianshao.app.incident_files import ask_cards, read_incidents
    from qianshao.app.terminal import cards_table, screen

    if place is not None:
        cards = [build_card(history) for history in read_incidents(place).values()]
        cards = [card for card in cards if card.opened_at is not None]
    else:
        cards = ask_cards(_console(config))
    if as_json:
        print_json([msgspec.to_builtins(card) for card in cards])
    elif cards:
        screen(stderr=False).print(cards_table(cards))
    else:
        click.echo("没有立案的事件")


@incidents.command("show")
@click.argument("incident")
@click.option("--why", is_flag=True, help="Tell the decisions one after the other: what was new, and why each fell.")
@FROM
@SERVICE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document to standard output and nothing else.")
def show_incident(incident: str, why: bool, place: Path | None, config: Path | None, as_json: bool) -> None:
    """Show one incident: its evidence card, or with --why the log of its decisions."""
    import msgspec

    from qianshao.app.card import build_card
    from qianshao.app.incident_files import ask_history, read_incidents
    from qianshao.app.story import build_story
    from qianshao.app.terminal import card_panel, screen, story_lines
    from qianshao.errors import InputError

    history = read_incidents(place).get(incident, []) if place is not None else ask_history(_console(config), incident)
    if not history:
        raise InputError(f"no incident {incident!r}; `qianshao incidents list` names those that were reported")
    if as_json:
        print_json(msgspec.to_builtins(build_story(history) if why else build_card(history)))
    else:
        screen(stderr=False).print(story_lines(build_story(history)) if why else card_panel(build_card(history)))


def _console(config: Path | None) -> Console:
    from qianshao.config import load_config

    if config is None:
        raise click.UsageError("name a replay with --from, or a running service with --config")
    return load_config(config).console


@cli.group()
def dashboards() -> None:
    """Dashboards in Grafana."""


@dashboards.command()
@click.option("--config", required=True, type=PATH, help="Configuration (TOML); see qianshao.example.toml.")
@click.option("--dry-run", is_flag=True, help="Show what would be changed, line by line, and change nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Show what is changed line by line.")
def push(config: Path, dry_run: bool, verbose: bool) -> None:
    """Bring folder, data source, dashboards and alert rules to Grafana; what is right already is not written."""
    from qianshao.app.changes import changes_table
    from qianshao.app.terminal import screen
    from qianshao.config import load_config
    from sinks.dashboards import alert_rules
    from sinks.dashboards import dashboards as generated
    from sinks.grafana_push import push_dashboards

    settings = load_config(config)
    language = settings.grafana.language
    changes = push_dashboards(settings, generated(language), alert_rules(language), dry_run=dry_run)
    screen(stderr=False).print(changes_table(changes, dry_run=dry_run, diffs=dry_run or verbose))


def print_json(document: object) -> None:
    """Print one JSON document to standard output."""
    import json

    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed while running, 2 wrong usage or configuration.

    What we raise on purpose is printed as one line without a traceback; an error we did not foresee keeps its
    traceback, because somebody has to read it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = cli.main(None if arguments is None else list(arguments), prog_name="qianshao", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except QianshaoError as error:
        click.echo(f"qianshao: {error}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("qianshao: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; nothing is left to say, also not by the interpreter when it closes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
