"""The dashboard of operators: is Qianshao itself keeping up, and what does it cost."""

from __future__ import annotations

from sinks.dashboards.panels import Column, Dashboard, Panel, Step, Variable
from sinks.dashboards.sql import among, options
from sinks.dashboards.words import ACCENT, OUTSIDE, WARNING, Text

SOURCE = Variable(
    "source",
    Text("来源分区", "Source partition"),
    options("SELECT source AS word FROM tallies"),
)
_PULSES = f"{among('source', 'source')} AND $__timeFilter_ms(at)"
_NEWEST = f"SELECT max(at) FROM pulses WHERE {_PULSES}"
# Pulses count from the beginning; what happened in a bin is the difference to the bin before, and never negative: a
# service that starts again begins anew.
_BEFORE = "OVER (PARTITION BY source ORDER BY time ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"


def _more(column: str) -> str:
    return f"greatest(toInt64({column}) - toInt64(lagInFrame({column}, 1, {column}) {_BEFORE}), 0)"


def _by_bin(columns: tuple[str, ...]) -> str:
    newest = ", ".join(f"max({column}) AS {column}" for column in columns)
    inner = ", ".join(f"pulses.{column} AS {column}" for column in columns)
    return (
        f"SELECT time, source, {newest}\n    FROM (SELECT $__timeInterval(at) AS time, source, {inner} "
        f"FROM pulses WHERE {_PULSES})\n    GROUP BY time, source"
    )


PIPELINE = Dashboard(
    uid="qianshao-pipeline",
    title=Text("前哨 · 流水线", "Qianshao · Pipeline"),
    description=Text(
        "前哨自己跟得上吗：积压、水位线、死信、重复与迟到、每千条记录的开销。",
        "Whether Qianshao keeps up: what waits, the watermark, dead letters, duplicates and late, and what it costs.",
    ),
    variables=(SOURCE,),
    since="now-6h",
    refresh="30s",
    incidents_shown=False,
    panels=(
        Panel(
            1,
            "stat",
            Text("待读记录", "Records waiting"),
            Text(
                "时间范围末尾各来源还没有读的记录总数。持续增长就增加进程（run.workers）或查下游。",
                "Records that the sources hold and we have not read, at the end of the range. If they keep growing,"
                " raise run.workers or look at the store.",
            ),
            f"SELECT sum(waiting) AS waiting FROM pulses FINAL WHERE {_PULSES} AND at = ({_NEWEST}) HAVING count() > 0",
            "short",
            columns=(Column("waiting", Text("条", "records")),),
            place=(0, 0, 6, 4),
            steps=(Step(10_000, WARNING), Step(100_000, OUTSIDE)),
        ),
        Panel(
            2,
            "stat",
            Text("决策落后", "Decisions behind"),
            Text(
                "水位线落后于墙上时钟多少秒，时间范围末尾。超过五分钟时看待读记录与各来源前沿。",
                "How far the watermark is behind the wall clock at the end of the range. Over five minutes, see what"
                " waits and how far each source is.",
            ),
            "SELECT max(dateDiff('second', watermark, at)) AS delay FROM pulses FINAL\n"
            f"WHERE {_PULSES} AND at = ({_NEWEST}) HAVING count() > 0",
            "s",
            columns=(Column("delay", Text("落后", "behind")),),
            place=(6, 0, 6, 4),
            steps=(Step(60, WARNING), Step(300, OUTSIDE)),
        ),
        Panel(
            3,
            "stat",
            Text("内存", "Memory"),
            Text(
                "拥有外部连接的进程的常驻内存，时间范围末尾。一直上涨时附上此图报告问题。",
                "Resident memory of the process that owns the outside, at the end of the range. If it only grows,"
                " report it with this picture.",
            ),
            "SELECT max(memory_bytes) AS memory FROM pulses FINAL\n"
            f"WHERE {_PULSES} AND at = ({_NEWEST}) HAVING count() > 0",
            "bytes",
            columns=(Column("memory", Text("内存", "memory")),),
            place=(12, 0, 6, 4),
        ),
        Panel(
            4,
            "stat",
            Text("死信占比", "Dead letters"),
            Text(
                "读到的记录里有多少成了死信，自开始以来。超过 5% 多半是上游改了格式，看死信原因。",
                "Share of the records read that became dead letters, since the beginning. Above 5 % a sender has"
                " usually changed its format: see the reasons.",
            ),
            "SELECT round(sum(dead) / greatest(sum(read), 1), 5) AS share FROM tallies FINAL\n"
            f"WHERE {among('source', 'source')}",
            "percentunit",
            columns=(Column("share", Text("死信占比", "dead letters")),),
            place=(18, 0, 6, 4),
            steps=(Step(0.02, WARNING), Step(0.05, OUTSIDE)),
            decimals=2,
        ),
        Panel(
            5,
            "timeseries",
            Text("死信原因", "Dead letters by reason"),
            Text(
                "哪些原因的死信在增多，按事件时间。原因与行号在死信主题与 deadletters 表里，可据此修上游。",
                "Which reasons grow, in event time. The dead-letter topic and table hold position and excerpt of each.",
            ),
            f"""
SELECT $__timeInterval(at) AS time, reason, count() AS letters
FROM deadletters FINAL
WHERE {_PULSES}
GROUP BY time, reason ORDER BY time, reason
""".strip(),
            "short",
            series="reason",
            stacked=True,
            place=(0, 4, 12, 8),
            interval="1m",
        ),
        Panel(
            6,
            "timeseries",
            Text("各来源待读记录", "Waiting by source"),
            Text(
                "哪个来源分区积压。只有一个分区积压时，多半是键分布不均或那个分区有坏数据。",
                "Which partition lags. One alone usually means skewed keys or bad records in it.",
            ),
            f"""
SELECT $__timeInterval(at) AS time, source, max(waiting) AS waiting
FROM pulses
WHERE {_PULSES}
GROUP BY time, source ORDER BY time, source
""".strip(),
            "short",
            series="source",
            place=(12, 4, 12, 8),
            interval="30s",
            minimum=0,
        ),
        Panel(
            7,
            "timeseries",
            Text("水位线与前沿的落后", "Delay of watermark and frontier"),
            Text(
                "水位线与最慢来源的前沿落后墙上时钟多少秒。前沿落后是上游迟，只有水位线落后是有分区不动。",
                "How far the watermark and the slowest frontier are behind the wall clock. Both: the senders are late."
                " The watermark alone: a partition stands still.",
            ),
            f"""
SELECT $__timeInterval(at) AS time, max(dateDiff('second', watermark, at)) AS watermark_delay,
       max(dateDiff('second', frontier, at)) AS frontier_delay
FROM pulses
WHERE {_PULSES} AND toUnixTimestamp64Milli(watermark) > 0 AND toUnixTimestamp64Milli(frontier) > 0
GROUP BY time ORDER BY time
""".strip(),
            "s",
            columns=(
                Column("watermark_delay", Text("水位线落后", "watermark behind"), colour=OUTSIDE),
                Column("frontier_delay", Text("前沿落后", "frontier behind"), colour=ACCENT),
            ),
            place=(0, 12, 12, 8),
            interval="30s",
            minimum=0,
        ),
        Panel(
            8,
            "timeseries",
            Text("读取速率", "Read rate"),
            Text(
                "每个来源分区每秒读多少条。突降为零而上游仍在写时，看日志里的连接错误。",
                "Records a second of each partition. At zero while senders write, see the log for connection errors.",
            ),
            f"""
SELECT time, source,
       {_more("read")} / greatest(dateDiff('second', lagInFrame(time, 1, time) {_BEFORE}, time), 1) AS rate
FROM (
    {_by_bin(("read",))}
)
ORDER BY time, source
""".strip(),
            "reqps",
            series="source",
            place=(12, 12, 12, 8),
            interval="30s",
            minimum=0,
        ),
        Panel(
            9,
            "timeseries",
            Text("迟到、重复与丢失", "Late, duplicate and lost"),
            Text(
                "每格里迟到、重复、死信的记录，以及代理在我们读到之前就删掉的。有“丢失”就加长主题的保留时间。",
                "Late, duplicate and dead records a bin, and those that the broker deleted before we read them. With"
                " any lost, keep the topics longer.",
            ),
            f"""
SELECT time, sum(more_late) AS late, sum(more_duplicate) AS duplicate, sum(more_dead) AS dead, sum(more_lost) AS lost
FROM (
    SELECT time, {_more("late")} AS more_late, {_more("duplicate")} AS more_duplicate, {_more("dead")} AS more_dead,
           {_more("lost")} AS more_lost
    FROM (
    {_by_bin(("late", "duplicate", "dead", "lost"))}
    )
)
GROUP BY time ORDER BY time
""".strip(),
            "short",
            columns=(
                Column("late", Text("迟到", "late"), style="bars"),
                Column("duplicate", Text("重复", "duplicate"), style="bars"),
                Column("dead", Text("死信", "dead"), colour=WARNING, style="bars"),
                Column("lost", Text("丢失", "lost"), colour=OUTSIDE, style="bars"),
            ),
            place=(0, 20, 12, 8),
            interval="1m",
            stacked=True,
        ),
        Panel(
            10,
            "timeseries",
            Text("每千条记录的处理器秒", "Processor seconds per 1000 records"),
            Text(
                "每读一千条记录用多少处理器时间（拥有外部连接的进程）。升级后变贵时回退并报告。",
                "Processor time per 1000 records, of the process that owns the outside. Dearer after an upgrade: go"
                " back and report it.",
            ),
            f"""
SELECT time, if(records > 0, round(1000 * seconds / records, 4), NULL) AS cost
FROM (
    SELECT time, sum(more_read) AS records, max(more_cpu) AS seconds
    FROM (
        SELECT time, {_more("read")} AS more_read,
               greatest(cpu_seconds - lagInFrame(cpu_seconds, 1, cpu_seconds) {_BEFORE}, 0) AS more_cpu
        FROM (
    {_by_bin(("read", "cpu_seconds"))}
        )
    )
    GROUP BY time
)
ORDER BY time
""".strip(),
            "s",
            columns=(Column("cost", Text("每千条", "per 1000"), colour=ACCENT),),
            place=(12, 20, 6, 8),
            interval="1m",
            minimum=0,
        ),
        Panel(
            11,
            "timeseries",
            Text("内存走势", "Memory over time"),
            Text(
                "常驻内存是否平稳。平台状是正常的，斜线不是。",
                "Whether memory stays level. A plateau is normal, a slope is not.",
            ),
            f"""
SELECT $__timeInterval(at) AS time, max(memory_bytes) AS memory
FROM pulses
WHERE {_PULSES}
GROUP BY time ORDER BY time
""".strip(),
            "bytes",
            columns=(Column("memory", Text("内存", "memory"), colour=ACCENT),),
            place=(18, 20, 6, 8),
            interval="1m",
            minimum=0,
        ),
        Panel(
            12,
            "table",
            Text("账目", "Accounts"),
            Text(
                "每个来源读到的记录各去了哪里：读到 = 计入 + 迟到 + 死信 + 重复 + 丢弃。差额不为零就是缺陷，请报告。",
                "Where the records of each source went: read = counted + late + dead + duplicate + dropped. A"
                " difference other than zero is a defect: report it.",
            ),
            f"""
SELECT source, read, counted, late, dead, duplicate, dropped, lost,
       toInt64(read) - toInt64(counted + late + dead + duplicate + dropped) AS difference
FROM tallies FINAL
WHERE {among("source", "source")}
ORDER BY source
""".strip(),
            "none",
            columns=(
                Column("source", Text("来源分区", "source"), unit="none"),
                Column("read", Text("读到", "read"), width=110),
                Column("counted", Text("计入", "counted"), width=110),
                Column("late", Text("迟到", "late"), width=90),
                Column("dead", Text("死信", "dead"), width=90),
                Column("duplicate", Text("重复", "duplicate"), width=90),
                Column("dropped", Text("丢弃", "dropped"), width=90),
                Column("lost", Text("丢失", "lost"), width=90),
                Column("difference", Text("差额", "difference"), width=90),
            ),
            place=(0, 28, 24, 8),
        ),
    ),
)
