"""qianshao detect: one's own counts to scores, a list and a picture; whatever is wrong is named with its place."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qianshao.app.count_grid import BINS, CountGrid, read_counts
from qianshao.app.detect import detect
from qianshao.clock import from_rfc3339
from qianshao.errors import InputError

Run = Callable[..., tuple[int, str, str]]
ZONE = ZoneInfo("Asia/Shanghai")
PLENTY = 2**30


def ordinary_weeks(series: int = 3, weeks: int = 12) -> np.ndarray:
    """Poisson counts with a weekly rhythm."""
    mean = np.tile([12.0, 11, 10, 10, 12, 5, 4], weeks)
    return np.random.default_rng(4).poisson(mean, (series, mean.size)).astype(np.int32)


@pytest.fixture
def counts() -> np.ndarray:
    """Twelve weeks of three series, with a burst in the second."""
    made = ordinary_weeks()
    made[1, 77] = 300
    return made


@pytest.fixture
def archive(counts: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "counts.npz"
    np.savez(path, counts=counts)
    return path


def test_a_burst_is_the_strangest_bin_and_everything_is_written_as_promised(
    run: Run, archive: Path, tmp_path: Path, counts: np.ndarray
) -> None:
    code, out, err = run("detect", archive, "--bin", "1d", "--out", tmp_path / "new" / "scores.npz")
    assert code == 0, err
    assert "detect 100%" in err
    with np.load(tmp_path / "new" / "scores.npz", allow_pickle=False) as scores:
        assert scores["score"].shape == scores["expected"].shape == scores["learning"].shape == counts.shape
        assert np.isfinite(scores["score"]).all()
        assert scores["learning"].dtype == np.bool_
        assert scores["learning"][:, 0].all()
        assert not scores["learning"][:, 77].any()
        settled = np.where(scores["learning"], 0, scores["score"])
        assert np.unravel_index(settled.argmax(), counts.shape) == (1, 77)
        assert scores["score"][1, 77] > scores["threshold"]
    first = out.splitlines()[
        next(place for place, line in enumerate(out.splitlines()) if "序列" in line and "时间" in line) + 1
    ]
    assert first.startswith("●  #1")
    assert "第 78 天 周一" in first
    assert "300" in first
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["scores.npz", "scores.svg"]


def test_the_picture_is_xml_without_script_and_shows_names_as_they_are(
    run: Run, counts: np.ndarray, tmp_path: Path
) -> None:
    names = np.array(["a", '<script>alert("&")</script>\x1b[2J\ufffe', "c"])
    np.savez(tmp_path / "named.npz", counts=counts, series=names, start="2026-01-05")
    code, out, _ = run("detect", tmp_path / "named.npz", "--bin", "1d", "--out", tmp_path / "s.npz")
    root = ElementTree.fromstring((tmp_path / "s.svg").read_text("utf-8"))
    texts = [element.text or "" for element in root.iter()]
    assert code == 0
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert any(text.startswith('<script>alert("&")') for text in texts)
    assert any("2026-03-23 周一" in text for text in texts)
    assert "\x1b" not in out


def test_a_picture_is_drawn_when_nothing_is_strange(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "flat.npz", counts=np.zeros((2, 5), np.int64))
    code, out, _ = run("detect", tmp_path / "flat.npz", "--bin", "1min", "--out", tmp_path / "s.npz")
    assert code == 0
    assert "没有值得一看的格子" in out
    assert "没有值得一看的格子" in (tmp_path / "s.svg").read_text("utf-8")


def test_json_lists_the_strangest_spells_and_nothing_else(run: Run, archive: Path, tmp_path: Path) -> None:
    code, out, _ = run("detect", archive, "--bin", "1d", "--out", tmp_path / "s.npz", "--json")
    figures = json.loads(out)
    first = figures["strangest"][0]
    assert code == 0
    assert (figures["series"], figures["bins"]) == (3, 84)
    assert (first["series"], first["observed"], first["direction"], first["alarm"]) == ("#1", 300, "more", True)


def test_a_bigger_budget_lowers_the_threshold(run: Run, archive: Path, tmp_path: Path) -> None:
    thresholds = []
    for budget in ("0.00001", "0.0001", "0.001"):
        _, out, _ = run(
            "detect",
            archive,
            "--bin",
            "1d",
            "--out",
            tmp_path / f"{budget}.npz",
            "--json",
            "--false-alarms-per-day",
            budget,
        )
        thresholds.append(json.loads(out)["threshold"])
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) == 3


def test_what_comes_later_changes_no_score(counts: np.ndarray) -> None:
    def scored(data: np.ndarray) -> np.ndarray:
        bins = data.shape[1]
        return detect(CountGrid(["a", "b", "c"], data, 345_600_000, BINS["1d"], np.zeros(bins), ZONE, False), 1.0).score

    changed = counts.copy()
    changed[:, 60:] = 500
    assert np.array_equal(scored(counts)[:, :60], scored(changed)[:, :60])


def test_csv_and_npz_of_the_same_counts_give_the_same_scores(run: Run, counts: np.ndarray, tmp_path: Path) -> None:
    lines = ["bin_start,series,count"]
    for day in range(counts.shape[1]):
        when = np.datetime64("2026-01-05") + day
        # The last series is put first: places follow the order of appearance.
        lines += [
            f"{when},{'abc'[place]},{counts[place, day]}" for place in (0, 1, 2) if counts[place, day] or day == 0
        ]
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    np.savez(
        tmp_path / "c.npz", counts=counts, start=np.array("2026-01-05T00:00:00+08:00"), series=np.array(["a", "b", "c"])
    )
    for name, kind in (("one", "c.csv.gz"), ("other", "c.npz")):
        assert run("detect", tmp_path / kind, "--bin", "1d", "--out", tmp_path / f"{name}.npz")[0] == 0
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "other.npz") as other:
        assert one.files == other.files
        for name in one.files:
            assert np.array_equal(one[name], other[name]), name


def test_times_are_read_in_every_promised_form(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        "count,series,bin_start,remark\n1,锁,2026-01-05T01:00:00+08:00,x\n2,锁,2026-01-04T18:00:00Z,\n"
        "3,锁,2026-01-05 03:00,\n4.0,锁,1767556800000,\n",
        "utf-8-sig",
    )
    grid = read_counts(path, BINS["1h"], ZONE, memory_bytes=PLENTY)
    assert grid.counts.tolist() == [[1, 2, 3, 4]]
    assert grid.start_ms == from_rfc3339("2026-01-05T01:00:00+08:00")
    assert grid.when(3) == "2026-01-05 周一 04:00"


def test_without_a_start_bin_0_is_a_monday_at_midnight(archive: Path) -> None:
    grid = read_counts(archive, BINS["1h"], ZONE, memory_bytes=PLENTY)
    assert grid.when(0) == "第 1 天 周一 00:00"
    assert grid.when(25) == "第 2 天 周二 01:00"


HEADER = "bin_start,series,count\n"
DAY = "2026-01-0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is empty; expected an \.npz"),
        (HEADER, r"has no rows below its header"),
        ("start,series,count\n1,a,1\n", r"line 1: has no column 'bin_start'"),
        (HEADER + f"{DAY}6,a,1\n{DAY}5,a,1\n", r"line 3: bin_start '2026-01-05' is earlier .* sort the file"),
        (HEADER + f"{DAY}5,a,-1\n", r"line 2: count '-1' is negative"),
        (HEADER + f"{DAY}5,a,1.5\n", r"line 2: count '1\.5' is a fraction"),
        (HEADER + f"{DAY}5,a,nan\n", r"line 2: count 'nan' is not a whole number"),
        (HEADER + f"{DAY}5,a,\n", r"line 2: count '' is not a whole number"),
        (HEADER + f"{DAY}5,a,1e12\n", r"line 2: count '1e12' is above"),
        (HEADER + f"{DAY}5,a,1\n{DAY}5,b,1\n{DAY}5,a,2\n", r"line 4: series 'a' has this bin already in line 2; add"),
        (HEADER + f"{DAY}5,a,1\n{DAY}6T12:00,a,1\n", r"line 3: .* is not a whole number of bins after"),
        (HEADER + "gestern,a,1\n", r"line 2: bin_start 'gestern' is not a time"),
        (HEADER + "1767542400,a,1\n", r"line 2: bin_start '1767542400' is not a time .* epoch milliseconds"),
        (HEADER + f"{DAY}5, ,1\n", r"line 2: series is empty"),
        (HEADER + f"{DAY}5,a\n", r"line 2: has 2 cells instead of 3"),
        (HEADER + "1980-01-01,a,1\n2980-01-01,a,1\n", r"need .* GiB, .* give fewer series or less time"),
    ],
)
def test_a_wrong_table_is_refused_with_line_and_advice(run: Run, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text, "utf-8")
    if "GiB" in message:
        with pytest.raises(InputError, match=message):
            read_counts(path, BINS["1min"], ZONE, memory_bytes=PLENTY)
        return
    code, out, err = run("detect", path, "--bin", "1d", "--out", tmp_path / "s.npz")
    assert (code, out) == (2, "")
    assert re.search(rf"wrong\.csv.*{message}", err), err
    assert [each.name for each in tmp_path.iterdir()] == ["wrong.csv"]


ONES = np.ones((2, 9), np.int32)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"count": ONES}, r"has no array 'counts' \(found: count\)"),
        ({"counts": ONES[0]}, r"counts has the shape \(9,\); expected \(series, bins\)"),
        ({"counts": np.ones((2, 3, 4))}, r"shape \(2, 3, 4\).*counts\.reshape\(-1, counts\.shape\[-1\]\)"),
        ({"counts": np.zeros((0, 9), int)}, r"neither of them 0"),
        ({"counts": ONES * -1}, r"counts\[0, 0\] \(series #0, bin 0\) is negative: -1"),
        ({"counts": ONES * 0.5}, r"counts\[0, 0\] .* is a fraction: 0\.5"),
        ({"counts": np.where(np.arange(9) == 4, np.nan, ONES)}, r"counts\[0, 4\] .* is not a finite number"),
        ({"counts": ONES * 2.0**40}, r"is above 1,000,000,000"),
        ({"counts": np.array([["1", "2"]])}, r"counts has the type <U1"),
        ({"counts": np.array([[{}]], dtype=object)}, r"'counts' cannot be read"),
        ({"counts": ONES, "holiday": np.zeros(8)}, r"holiday has the shape \(8,\); expected \(9,\)"),
        ({"counts": ONES, "holiday": np.full(9, 2)}, r"holiday holds other values than 0 and 1"),
        ({"counts": ONES, "start": "someday"}, r"start is neither epoch milliseconds nor"),
        ({"counts": ONES, "series": np.array(["a"])}, r"expected 2 names"),
    ],
)
def test_a_wrong_archive_is_refused_with_place_and_advice(
    run: Run, tmp_path: Path, arrays: dict[str, object], message: str
) -> None:
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    code, out, err = run("detect", path, "--bin", "1d", "--out", tmp_path / "s.npz")
    assert (code, out) == (2, "")
    assert re.search(rf"wrong\.npz: .*{message}", err), err
    assert [each.name for each in tmp_path.iterdir()] == ["wrong.npz"]


def test_a_claim_of_terabytes_is_refused_before_anything_is_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (1000000, 10000000), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("counts.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    code, _, err = run("detect", path, "--bin", "1h", "--out", tmp_path / "s.npz")
    assert code == 2
    assert re.search(r"1,000,000 series × 10,000,000 bins need [\d,.]+ GiB, [\d,.]+ GiB are free", err)


def test_output_that_exists_is_not_overwritten(run: Run, archive: Path, tmp_path: Path) -> None:
    for name in ("s.npz", "s.svg"):
        (tmp_path / name).write_text("mine")
        code, _, err = run("detect", archive, "--bin", "1d", "--out", tmp_path / "s.npz")
        assert code == 2
        assert f"{name}: exists already" in err
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()


def test_output_that_cannot_be_written_and_unknown_bins_are_refused(run: Run, archive: Path, tmp_path: Path) -> None:
    assert "is a folder" in run("detect", archive, "--bin", "1d", "--out", tmp_path)[2]
    code, _, err = run("detect", archive, "--bin", "1d", "--out", archive / "s.npz")
    assert code == 2
    assert "cannot be written" in err
    code, _, err = run("detect", archive, "--bin", "2h", "--out", tmp_path / "s.npz")
    assert code == 2
    assert "'1d', '1h', '5min', '1min'" in err
    assert run("detect", tmp_path / "absent.npz", "--bin", "1d", "--out", tmp_path / "s.npz")[0] == 2


def packed() -> bytes:
    """A sound archive to damage."""
    import io

    buffer = io.BytesIO()
    np.savez(buffer, counts=ONES, holiday=np.zeros(9))
    return buffer.getvalue()


SOUND = packed()
DAMAGED = st.builds(
    lambda at, junk, cut: (SOUND[:at] + junk + SOUND[at + len(junk) :])[: len(SOUND) - cut],
    st.integers(0, len(SOUND) - 1),
    st.binary(min_size=1, max_size=6),
    st.sampled_from([0, 0, 0, 1, 200]),
)
CELL = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["2026-01-05", "20260106", "1767542400000", "a", "1", "0", "-1", "1e3", '"', "\x00", "２"]),
)
TABLE = st.lists(st.lists(CELL, min_size=2, max_size=4).map(",".join), max_size=5).map(
    lambda rows: (HEADER + "\n".join(rows)).encode("utf-8", "surrogatepass")
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(DAMAGED, TABLE, st.binary(max_size=60)))
def test_hostile_input_is_read_or_refused_but_never_breaks(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hostile"
    path.write_bytes(data)
    try:
        grid = read_counts(path, BINS["1d"], ZONE, memory_bytes=2**24)
    except InputError as refusal:
        said = str(refusal)
        assert str(path) in said
    else:
        assert grid.counts.min() >= 0
        assert grid.counts.shape == (len(grid.names), grid.holiday.size)
