"""The detector bank: what alarms, what does not, and that neither the cut of the calls nor a restart changes it."""

from __future__ import annotations

import random
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.bank import Bank
from detectors.calendar import Calendar, PlannedDay
from detectors.cells import Cell
from qianshao.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from qianshao.config import Detection
from qianshao.errors import StoreError
from qianshao.event import Observation
from qianshao.finding import Finding

ZONE = ZoneInfo("Asia/Shanghai")
START = 1_765_382_400_000  # a midnight in Shanghai
TOPICS = ("设备离线", "物流配送", "退款售后", "发票", "账号登录")
REGIONS = ("华东", "华南", "华北", "西南")


def bank() -> Bank:
    return Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZONE)


def ordinary(hours: float, *, per_hour: int = 60, seed: int = 1, start: int = START) -> list[Observation]:
    """Contacts of one line, all of different customers, evenly mixed over topics and regions."""
    chance = random.Random(seed)
    events = []
    for number in range(int(hours * per_hour)):
        ts = start + int(number * HOUR_MS / per_hour)
        events.append(
            Observation(
                id=f"o{seed}-{number}",
                kind="chat",
                ts=ts,
                line="家居",
                product=chance.choice(("门锁", "摄像头")),
                region=chance.choice(REGIONS),
                customer=chance.getrandbits(60) + 1,
                role="customer",
                topic=chance.choice(TOPICS),
                tokens=("请问", "查询"),
                text="请问怎么查询",
            )
        )
    return events


def batch(
    number: int, ts: int, *, topic: str = "设备离线", same_customer: bool = False, every_ms: int = MINUTE_MS
) -> list[Observation]:
    """Contacts about one topic of one product in one region."""
    return [
        Observation(
            id=f"b{index}",
            kind="chat",
            ts=ts + index * every_ms,
            line="家居",
            product="门锁",
            region="华东",
            customer=7 if same_customer else 1_000_000 + index,
            role="customer",
            topic=topic,
            terms=("连不上",),
            tokens=("门锁", "连不上"),
            text="门锁连不上了",
        )
        for index in range(number)
    ]


def device_errors(number: int, ts: int, *, code: str = "E9", same_device: bool = False) -> list[Observation]:
    return [
        Observation(
            id=f"d{index}",
            kind="device",
            ts=ts + index * 5_000,
            line="家居",
            product="门锁",
            firmware="2.2.0",
            customer=5 if same_device else 500 + index,
            device=5 if same_device else 500 + index,
            level="error",
            code=code,
            text="mqtt refused",
            template="mqtt refused",
        )
        for index in range(number)
    ]


def heartbeats(hours: float, *, start: int = START) -> list[Observation]:
    return [
        Observation(
            id=f"h{minute}",
            kind="device",
            ts=start + minute * MINUTE_MS,
            line="家居",
            product="门锁",
            firmware="2.1.0",
            customer=10_000 + minute % 400,
            device=10_000 + minute % 400,
            level="info",
            text="heartbeat",
            template="heartbeat",
        )
        for minute in range(int(hours * 60))
    ]


def by_time(event: Observation) -> tuple[int, str]:
    return event.ts, event.id


def run(events: list[Observation], *, cut: int = 500, target: Bank | None = None) -> list[Finding]:
    watcher = target or bank()
    ordered = sorted(events, key=by_time)
    findings: list[Finding] = []
    for start in range(0, len(ordered), cut):
        part = ordered[start : start + cut]
        watermark = part[-1].ts // 10_000 * 10_000
        ready = [event for event in part if event.ts < watermark]
        findings.extend(watcher.advance(ready, watermark)[0])
        rest = [event for event in part if event.ts >= watermark]
        ordered[start + cut : start + cut] = rest
        if rest and start + cut >= len(ordered) - len(rest):
            break
    tail = [event for event in ordered if event.ts >= watcher.watermark]
    unique = list({event.id: event for event in tail}.values())
    findings.extend(watcher.advance(unique, unique[-1].ts // 10_000 * 10_000 + 10_000)[0] if unique else [])
    return findings


def test_ordinary_traffic_opens_nothing() -> None:
    assert [finding for finding in run(ordinary(72)) if finding.opens] == []


@cache
def opened_by_a_batch() -> list[Finding]:
    """What opens when twenty customers tell of one fault on the second afternoon."""
    return [finding for finding in run(ordinary(48) + batch(20, START + 40 * HOUR_MS)) if finding.opens]


def test_a_batch_of_customers_with_one_topic_opens_and_is_placed() -> None:
    found = opened_by_a_batch()
    assert found
    assert found[-1].dims == {"product": "门锁", "region": "华东"}
    assert {event.id[0] for event in found[0].evidence} == {"b"}


def test_the_batch_is_named_before_its_tenth_customer() -> None:
    found = opened_by_a_batch()
    assert len({event.customer for event in found[0].evidence}) < 10


def test_eighty_messages_of_one_customer_are_one_customer() -> None:
    angry = batch(80, START + 40 * HOUR_MS, same_customer=True, every_ms=20_000)
    assert [finding for finding in run(ordinary(48) + angry) if finding.opens] == []


def test_a_never_seen_code_opens_at_the_fourth_device() -> None:
    events = heartbeats(48) + device_errors(12, START + 40 * HOUR_MS)
    found = [finding for finding in run(events) if finding.opens]
    assert found[0].kind == "new"
    assert len({event.device for event in found[0].evidence}) == 4


def test_one_flooding_device_is_one_device() -> None:
    events = heartbeats(48) + device_errors(1000, START + 40 * HOUR_MS, same_device=True)
    assert [finding for finding in run(events) if finding.opens] == []


def test_a_day_on_which_everything_triples_is_no_incident() -> None:
    promotion = ordinary(10, per_hour=180, seed=9, start=START + 36 * HOUR_MS)
    assert [finding for finding in run(ordinary(48) + promotion) if finding.opens] == []


def test_the_first_hours_are_learning() -> None:
    assert run(ordinary(5) + batch(20, START + 2 * HOUR_MS)) == []


@cache
def uncut() -> list[Finding]:
    """A day and a fault in few calls: what every other cut is compared with."""
    return run(ordinary(30) + batch(12, START + 26 * HOUR_MS), cut=2_000)


@settings(max_examples=6, deadline=None)
@given(cut=st.integers(min_value=7, max_value=900))
def test_the_cut_of_the_calls_changes_nothing(cut: int) -> None:
    assert run(ordinary(30) + batch(12, START + 26 * HOUR_MS), cut=cut) == uncut()


def test_a_restored_bank_continues_as_if_uninterrupted() -> None:
    events = sorted(ordinary(30) + batch(12, START + 26 * HOUR_MS) + heartbeats(30), key=by_time)
    middle = START + 26 * HOUR_MS + 4 * MINUTE_MS
    end = START + 31 * HOUR_MS
    first, second = ([e for e in events if e.ts < middle], [e for e in events if e.ts >= middle])
    whole = bank()
    whole.advance(first, middle)
    restored = bank()
    restored.restore(whole.snapshot())
    assert restored.advance(second, end) == whole.advance(second, end)
    assert restored.snapshot() == whole.snapshot()


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(StoreError, match="version 99"):
        bank().restore(msgspec.msgpack.encode({"version": 99}))


def test_a_channel_that_falls_silent_is_found() -> None:
    root = Bank(Detection(), root=True, decision_ms=10 * SECOND_MS, zone=ZONE)
    events = []
    for event in ordinary(44, per_hour=120):
        event.channel = "wechat" if event.customer % 3 == 0 else "app"
        if event.channel == "wechat" and event.ts >= START + 34 * HOUR_MS:
            continue
        events.append(event)
    found = [finding for finding in run(events, target=root) if finding.kind in ("silence", "drop")]
    assert [finding.dims for finding in found] == [{"channel": "wechat"}] * len(found)
    assert next(finding.tick for finding in found if finding.opens) < START + 35 * HOUR_MS


def test_unlimited_new_codes_stay_within_the_configured_series() -> None:
    small = Bank(Detection(maximum_series=1_000), root=False, decision_ms=10_000, zone=ZONE)
    events = [
        Observation(
            id=f"x{number}",
            kind="device",
            ts=START + number * 1_000,
            line="家居",
            product=f"p{number}",
            customer=number + 1,
            device=number + 1,
            level="error",
            code=f"E{number}",
        )
        for number in range(4_000)
    ]
    run(events, target=small)
    assert small.table.n <= 1_000
    assert small.table.refused > 0


ASKED = "咨询退款进度，已告知"
HABIT = "客户反馈问题，已登记"


def refunds(
    days: float, *, theme: str = "退款未到账，已登记", per_hour: int = 15, learnt_after_days: float = 0.0
) -> list[Observation]:
    """Refund questions of one line; one in thirty means the refund that never came, in words of its own."""
    chance = random.Random(3)
    events = ordinary(24 * days, per_hour=per_hour, seed=3)
    for event in events:
        event.topic = "退款售后"
        if event.ts >= START + learnt_after_days * 24 * HOUR_MS and chance.random() < 0.03:
            event.theme = theme
    return events


def lost_refunds(number: int, ts: int, *, theme: str) -> list[Observation]:
    events = batch(number, ts, topic="退款售后", every_ms=6 * MINUTE_MS)
    for event in events:
        event.region = REGIONS[event.customer % len(REGIONS)]
        event.terms, event.theme = (), theme
    return events


def themes_of(found: list[Finding]) -> set[str]:
    return {finding.series.value for finding in found if finding.series.measure == "theme" and finding.opens}


def test_a_fault_inside_a_busy_topic_is_found_only_through_its_theme() -> None:
    noon = START + 5 * 24 * HOUR_MS + 12 * HOUR_MS
    usual = refunds(6)
    named = run(usual + lost_refunds(20, noon, theme="退款未到账，已登记"))
    unnamed = run(usual + lost_refunds(20, noon, theme=""))
    assert themes_of(named) == {"退款未到账，已登记"}
    assert not [finding for finding in unnamed if finding.opens]


def test_a_theme_that_was_only_just_learnt_does_not_rise_from_nothing() -> None:
    assert not themes_of(run(refunds(4, per_hour=60, learnt_after_days=2.2)))


def test_what_agents_write_when_somebody_only_asked_opens_nothing() -> None:
    noon = START + 5 * 24 * HOUR_MS + 12 * HOUR_MS
    assert not themes_of(run(refunds(6, theme=ASKED) + lost_refunds(20, noon, theme=ASKED)))


def test_a_theme_whose_customers_share_no_topic_opens_nothing() -> None:
    noon = START + 5 * 24 * HOUR_MS + 12 * HOUR_MS
    mixed = lost_refunds(20, noon, theme=HABIT)
    for event in mixed:
        event.topic = TOPICS[event.customer % len(TOPICS)]
    assert not themes_of(run(refunds(6, theme=HABIT) + mixed))


def test_a_pasted_advertisement_raises_nothing_whatever_it_is_read_as() -> None:
    slogan = "家人们帮我砍一刀，还差五毛钱就能提现一百元，谢谢大家，复制口令年终砍价打开应用"
    pasted = batch(40, START + 30 * HOUR_MS)
    for event in pasted:
        event.text = slogan
    assert run(ordinary(36)) == [] == run(ordinary(36) + pasted)


def test_the_place_of_the_cell_that_alarmed_is_named_among_many_ordinary_customers() -> None:
    events = ordinary(56, per_hour=120)
    chance = random.Random(5)
    cause = batch(36, START + 52 * HOUR_MS, topic="物流配送")
    for event in cause:
        event.product = chance.choice(("门锁", "摄像头"))
        event.terms = ()
    told = [found for found in run(events + cause) if found.opens]
    assert told
    assert all(found.dims.get("region") == "华东" for found in told)


def test_no_cause_is_named_by_a_product_in_which_its_topic_is_asked_about_every_day() -> None:
    asked = [
        msgspec.structs.replace(
            event, id=f"a{event.id}", customer=event.customer + 1, topic="商品质量", product="摄像头"
        )
        for event in ordinary(56, per_hour=12)
    ]
    cause = batch(20, START + 46 * HOUR_MS, topic="商品质量", every_ms=20 * MINUTE_MS)
    events = ordinary(56, per_hour=120) + asked + cause
    found = [each for each in run(events) if each.series.value == "商品质量"]
    assert any(each.opens for each in found)
    assert {each.dims.get("product") for each in found} == {"门锁"}


def sale(day: int, *, line: str, topic: str, number: int) -> list[Observation]:
    """Contacts of one line about one topic, spread over one day, of all regions and channels."""
    begin, pause = START + day * 24 * HOUR_MS, 24 * HOUR_MS // number
    return [
        Observation(
            id=f"s{day}-{line}-{index}",
            kind="chat",
            ts=begin + index * pause,
            line=line,
            region=REGIONS[index % len(REGIONS)],
            customer=day * 1_000_000 + (index + 1) * 1_000 + len(line),
            role="customer",
            topic=topic,
        )
        for index in range(number)
    ]


@pytest.mark.parametrize(("last_days", "told"), [((48, 72, 96), True), ((24, 24, 24), False)])
def test_what_rises_for_days_does_not_become_ordinary_before_it_is_strange(
    last_days: tuple[int, ...], told: bool
) -> None:
    days = [
        msgspec.structs.replace(event, product="门锁", region=None)
        for day, number in enumerate((24,) * 6 + last_days)
        for event in sale(day, line="家居", topic="商品质量", number=number)
    ]
    found = run(ordinary(9 * 24, per_hour=40) + days)
    assert any(each.opens and each.dims == {"product": "门锁"} for each in found) is told


@pytest.mark.parametrize(("every_ms", "customers"), [(MINUTE_MS, 5), (2 * HOUR_MS, 6), (4 * HOUR_MS, 7)])
def test_a_handful_over_a_day_does_not_make_itself_ordinary(every_ms: int, customers: int) -> None:
    events = ordinary(140, per_hour=40) + batch(customers, START + 108 * HOUR_MS, topic="", every_ms=every_ms)
    opened = [each for each in run(events) if each.opens and each.series.measure == "term"]
    assert [each.dims for each in opened] == [{"product": "门锁", "region": "华东"}] * len(opened)
    assert opened


def test_a_sale_of_one_line_is_expected_of_the_cells_that_cross_lines_too() -> None:
    events = ordinary(96) + [
        event for day in range(3) for event in sale(day, line="到家", topic="支付扣款", number=100)
    ]
    events += sale(3, line="到家", topic="支付扣款", number=400)
    eve = START + 71 * HOUR_MS

    def planned(*days: PlannedDay) -> Bank:
        calendar = Calendar(list(days), ZONE)
        return Bank(Detection(), root=True, decision_ms=10 * SECOND_MS, zone=ZONE, calendar=calendar)

    # Whatever is planned of the fourth day, the days before it are the same.
    known = planned()
    before = known.advance([event for event in sorted(events, key=by_time) if event.ts < eve], eve)[0]
    state = known.snapshot()

    def opened(*days: PlannedDay) -> set[Cell]:
        root = planned(*days)
        root.restore(state)
        found = before + run([event for event in events if event.ts >= eve], target=root)
        return {finding.series.dims for finding in found if finding.opens}

    assert () in opened()
    assert opened(PlannedDay("2025-12-14", "大促", "到家", 3.0)) == set()
    assert opened(PlannedDay("2025-12-14", "大促", "", 3.0)) == set()
    assert () in opened(PlannedDay("2025-12-14", "大促", "家居", 3.0))


def test_what_a_planned_day_brought_is_no_surprise_in_the_night_after_it() -> None:
    """Windows of hours reach into it: who came then is expected as then."""
    events = ordinary(156) + [
        event
        for day, number in enumerate((100, 100, 100, 100, 100, 400, 100))
        for event in sale(day, line="家居", topic="支付扣款", number=number)
    ]
    night = START + 6 * 24 * HOUR_MS

    def opened(day: str) -> set[Cell]:
        calendar = Calendar([PlannedDay(day, "大促", "家居", 3.0)], ZONE)
        watcher = Bank(Detection(), root=False, decision_ms=10 * SECOND_MS, zone=ZONE, calendar=calendar)
        found = run([event for event in events if event.ts < night + 12 * HOUR_MS], target=watcher)
        return {finding.series.dims for finding in found if finding.opens and finding.series.value == "支付扣款"}

    assert opened("2025-12-16") == set()
    assert opened("2025-12-15")


def app_logs(
    number: int, ts: int, *, code: str, every_ms: int, version: str, product: str = "钱包"
) -> list[Observation]:
    """Lines that apps write, each on a telephone of its own."""
    return [
        Observation(
            id=f"a{code}{version}-{index}",
            kind="device",
            ts=ts + index * every_ms,
            line="支付",
            product=product,
            customer=2_000_000 + ts % 9_999_991 + index,
            device=2_000_000 + ts % 9_999_991 + index,
            dims={"app_version": version},
            level="error" if code else "info",
            code=code,
            text="session expired",
            template="session expired",
        )
        for index in range(number)
    ]


def test_errors_of_a_new_release_are_told_at_once_and_named_by_it_among_those_of_the_old_one() -> None:
    usual = app_logs(48 * 120, START, code="", every_ms=MINUTE_MS // 2, version="9.3.1", product="阅读")
    usual += app_logs(48 * 4, START, code="E640", every_ms=15 * MINUTE_MS, version="9.3.1")
    noon = START + 40 * HOUR_MS
    broken = app_logs(12, noon, code="E640", every_ms=5 * MINUTE_MS, version="9.4.0")
    root = Bank(Detection(), root=True, decision_ms=10 * SECOND_MS, zone=ZONE)
    told = [found for found in run(usual + broken, target=root) if found.opens]
    assert told
    assert told[0].tick <= broken[7].ts + 10 * SECOND_MS
    for found in told:
        assert found.dims["app_version"] == "9.4.0"
        assert {event.dims["app_version"] for event in found.evidence} == {"9.4.0"}


def locked_out(number: int, ts: int, *, every_ms: int, channel: str, version: str = "") -> list[Observation]:
    """Customers of all products who cannot log in; who calls has no version of the app."""
    return [
        Observation(
            id=f"l{channel}{version}-{ts}-{index}",
            kind="chat",
            ts=ts + index * every_ms,
            line="家居",
            product=("门锁", "摄像头")[index % 2],
            region=REGIONS[index % len(REGIONS)],
            channel=channel,
            dims={"app_version": version} if version else {},
            customer=3_000_000 + ts % 9_999_991 + index,
            role="customer",
            terms=("登不上",),
            text="登不上",
        )
        for index in range(number)
    ]


def test_who_cannot_have_a_version_is_no_evidence_against_it() -> None:
    callers = locked_out(90, START, every_ms=HOUR_MS, channel="hotline")
    users = [
        msgspec.structs.replace(event, id=f"u{event.id}", customer=event.customer + 1, channel="app", dims=dims)
        for event in ordinary(90)
        for dims in ({"app_version": "8.4.2" if event.ts % 5 == 0 else "8.4.1"},)
    ]
    victims = locked_out(9, START + 80 * HOUR_MS, every_ms=10 * MINUTE_MS, channel="app", version="8.4.2")
    root = Bank(Detection(), root=True, decision_ms=10 * SECOND_MS, zone=ZONE)
    told = [found for found in run(ordinary(90) + callers + users + victims, target=root) if found.opens]
    assert told
    for found in told:
        assert found.dims == {"app_version": "8.4.2"}
        assert {event.channel for event in found.evidence} == {"app"}


def test_what_the_shard_of_a_line_can_place_nowhere_in_it_lies_in_the_line() -> None:
    cause = batch(40, START + 40 * HOUR_MS)
    for number, event in enumerate(cause):
        event.product, event.region = ("门锁", "摄像头")[number % 2], REGIONS[number % 4]
    told = [found for found in run(ordinary(48) + cause) if found.opens]
    assert told
    assert [found.dims for found in told] == [{"line": "家居"}] * len(told)


def leaking(victims: int) -> list[Observation]:
    """Eight days of a small fleet, seen when it errs; on the last one, devices of one batch leak that were never seen.

    Every eighth line is a leak anyhow, of any of eight batches.
    """
    chance = random.Random(3)
    events = []
    for number in range(8 * 14 * 14):
        day, of_day = divmod(number, 14 * 14)
        leaks = chance.random() < 0.12
        events.append(
            Observation(
                id=f"d{number}",
                kind="device",
                ts=START + day * 24 * HOUR_MS + 8 * HOUR_MS + of_day * HOUR_MS // 14,
                line="家居",
                product="加湿器",
                dims={"batch": f"H2-{chance.randrange(8)}"},
                device=chance.getrandbits(40) + 1,
                level="warn",
                code="LV-21" if leaks else "LV-02",
            )
        )
    for number in range(victims):
        ts = START + (7 * 24 + 8) * HOUR_MS + number * 28 * MINUTE_MS
        dims = {"batch": "H2-3"}
        events.append(
            Observation(
                id=f"v{number}", kind="device", ts=ts, line="家居", product="加湿器", dims=dims, device=number + 1,
                level="warn", code="LV-21",
            )
        )  # fmt: skip
    return sorted(events, key=lambda event: (event.ts, event.id))


def test_victims_who_are_most_of_a_small_fleet_do_not_raise_what_is_expected_of_them() -> None:
    findings, _ = bank().advance(leaking(30), START + 8 * 24 * HOUR_MS)
    assert [found.dims for found in findings if found.opens] == [{"product": "加湿器", "batch": "H2-3"}]


def test_a_small_fleet_that_goes_on_as_ever_says_nothing() -> None:
    assert bank().advance(leaking(0), START + 8 * 24 * HOUR_MS)[0] == []


@pytest.mark.parametrize(
    ("says", "topic", "found"), [("转相关部门", "", False), ("手机上连不上门锁", "设备离线", True)]
)
def test_a_label_whose_tickets_agree_on_nothing_is_no_witness_at_all(says: str, topic: str, found: bool) -> None:
    def ticket(number: int, ts: int, label: str, **said: str) -> Observation:
        customer = 9_000 + number
        return Observation(
            id=f"t{number}", kind="ticket", ts=ts, line="家居", product="门锁", customer=customer, type=label, **said
        )

    labels = ("咨询", "发票", "咨询", "退款", "咨询", "设备离线")
    usual = [ticket(number, START + number * 20 * MINUTE_MS, labels[number % 6]) for number in range(180)]
    noon = START + 60 * HOUR_MS
    alike = [
        ticket(1_000 + number, noon + number * MINUTE_MS, "设备离线", text=says, topic=topic) for number in range(15)
    ]
    findings = run([*ordinary(64), *usual, *alike])
    assert any(finding.series.measure == "ticket_type" for finding in findings) is found
