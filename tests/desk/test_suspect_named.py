"""An incident names the version that was in roll-out where it lies."""

from __future__ import annotations

import msgspec
from desk_fakes import NOON, desk, finding

from qianshao.clock import HOUR_MS, MINUTE_MS
from qianshao.finding import Suspect
from qianshao.incident import SuspectRollout

PUSHED = Suspect(dimension="firmware", value="2.2.0", since=NOON - HOUR_MS, share=0.12, among="L2")


def test_the_suspect_of_a_finding_stands_in_the_record_and_stays() -> None:
    first = msgspec.structs.replace(finding(customers=range(9)), suspect=PUSHED)
    later = finding(customers=range(30), tick=NOON + 10 * MINUTE_MS)
    changes, _, _ = desk().advance([first, later], later.tick)
    assert [change.suspect for change in changes] == 2 * [
        SuspectRollout(
            dimension="firmware", value="2.2.0", since="2025-12-11T11:00:00.000+08:00", share=0.12, among="L2"
        )
    ]


def test_without_a_roll_out_the_record_has_no_suspect() -> None:
    changes, _, _ = desk().advance([finding(customers=range(9))], NOON)
    assert b"suspect" not in msgspec.json.encode(changes[0])


def test_a_merged_case_keeps_what_either_knew() -> None:
    one, other = (
        finding(customers=range(9)),
        finding(customers=range(20, 29), value="物流配送", dims={"region": "华东"}),
    )
    joined = finding(customers=range(29), tick=NOON + MINUTE_MS)
    at_work = desk()
    at_work.advance([one, msgspec.structs.replace(other, suspect=PUSHED)], NOON)
    changes, _, _ = at_work.advance([joined], joined.tick)
    assert any(not isinstance(change.suspect, msgspec.UnsetType) for change in changes)
