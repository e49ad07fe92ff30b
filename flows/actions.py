"""Lines of bytes become people's actions, masked at once, or rejections with a named reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, get_args

import msgspec

from flows.decode import (
    MAX_ID_CHARS,
    YEAR_2000_MS,
    YEAR_9999_MS,
    Rejected,
    read_object,
    timestamp_ms,
)
from models.masking import mask, mask_extra, mask_field
from qianshao.action import Action, ActionKind
from qianshao.event import MAX_TEXT_CHARS

_KINDS = frozenset(get_args(ActionKind))
WITHOUT_INCIDENT = frozenset(("relabel", "reload", "unlink"))
_FIELDS = frozenset(Action.__struct_fields__) - {"extra"}
SENTIMENTS = ("negative", "neutral", "positive")
RELABELLED = ("topic", "type", "sentiment")
_VERDICTS = {"true": "true", "false": "false", True: "true", False: "false"}


PSEUDONYM = re.compile("[0-9a-f]{16}")
"""How a pseudonym is written in everything that leaves."""

Pseudonym = Callable[[str], int]


def decode_actions(lines: Sequence[bytes], pseudonym: Pseudonym) -> list[Action | Rejected | None]:
    """Read each line as one action.

    Parameters
    ----------
    lines
        JSON objects as they came from the topic.
    pseudonym
        Makes the pseudonym of a conversation, a ticket or an identifier, the same as for events.

    Returns
    -------
    list
        One entry for each line, in order: the action, why it is none, or None for a line of white space, which is no
        record. `id`, `action`, `by` and `at` are required; `incident` too unless it is a `relabel`, a `reload` or an
        `unlink`; for an `unlink` two identifiers of two people, `customer` and `other`: each as it came in, or as its
        pseudonym stands in what left (16 hexadecimal digits);
        `into` for a `merge`, `verdict` (true or false) for a `verdict`; for a `relabel` a `conversation` or a `ticket`,
        and at least one of `topic`, `type` and `sentiment` (negative, neutral, positive). `at` and `until` are RFC 3339
        with an offset or epoch milliseconds. null counts as absent. Unknown fields are kept in `extra`.

        Reasons: `not_json` `not_utf8` `line_too_long` `not_an_object` `missing_id` `bad_id` `missing_action`
        `unknown_action` `missing_timestamp` `bad_timestamp` `implausible_timestamp` `missing_by` `missing_incident`
        `missing_into` `missing_verdict` `missing_target` `missing_label` `missing_customer` `missing_other`
        `bad_field` `text_too_long`.

    Notes
    -----
    All text that people wrote is masked here: reason, name and unknown fields. Fails on nothing.
    """
    return [_decode_line(line, pseudonym) for line in lines]


def _decode_line(line: bytes, pseudonym: Pseudonym) -> Action | Rejected | None:
    fields = read_object(line)
    if fields is None or isinstance(fields, Rejected):
        return fields
    try:
        return _action({name: value for name, value in fields.items() if value is not None}, pseudonym)
    except _UnusableError as error:
        return Rejected(error.reason)


class _UnusableError(Exception):
    """Carries the reason out of the checks."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _action(fields: dict[str, Any], pseudonym: Pseudonym) -> Action:
    identity = _text(fields, "id", missing="missing_id", bad="bad_id")
    kind = fields.get("action")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise _UnusableError("missing_action" if kind is None else "unknown_action")
    if "at" not in fields:
        raise _UnusableError("missing_timestamp")
    at = _moment(fields["at"])
    by = _text(fields, "by", missing="missing_by")
    incident = _text(fields, "incident", missing="" if kind in WITHOUT_INCIDENT else "missing_incident")
    into = _text(fields, "into", missing="missing_into" if kind == "merge" else "")
    push = _text(fields, "push")
    until = _moment(fields["until"]) if "until" in fields else None
    reason = fields.get("reason", "")
    if not isinstance(reason, str):
        raise _UnusableError("bad_field")
    if len(reason) > MAX_TEXT_CHARS:
        raise _UnusableError("text_too_long")
    said = fields.get("verdict")
    if said is not None and not (isinstance(said, str | bool) and said in _VERDICTS):
        raise _UnusableError("bad_field")
    if said is None and kind == "verdict":
        raise _UnusableError("missing_verdict")
    conversation, ticket = _text(fields, "conversation"), _text(fields, "ticket")
    labels = {name: _text(fields, name) for name in RELABELLED}
    if labels["sentiment"] not in ("", *SENTIMENTS):
        raise _UnusableError("bad_field")
    if kind == "relabel":
        if not conversation and not ticket:
            raise _UnusableError("missing_target")
        if not any(labels.values()):
            raise _UnusableError("missing_label")
    unlinks = kind == "unlink"
    customer, other = (
        _identifier(_text(fields, name, missing=f"missing_{name}" if unlinks else ""), pseudonym)
        for name in ("customer", "other")
    )
    extra = mask_extra({name: fields[name] for name in sorted(fields.keys() - _FIELDS)}, [])
    return msgspec.convert(
        {
            "id": identity,
            "action": kind,
            "at": at,
            "by": mask_field(by),
            "incident": incident,
            "reason": mask(reason),
            "into": into,
            "push": push,
            "until": until,
            "verdict": "" if said is None else _VERDICTS[said],
            "conversation": pseudonym(conversation),
            "ticket": pseudonym(ticket),
            **{name: mask_field(label) for name, label in labels.items()},
            "customer": customer,
            "other": other,
            "extra": msgspec.json.decode(extra) if extra else {},
        },
        Action,
    )


def _text(fields: dict[str, Any], name: str, *, missing: str = "", bad: str = "bad_field") -> str:
    """Return a short text; '' where it is absent and `missing` names no reason against that."""
    value = fields.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_ID_CHARS:
        raise _UnusableError(bad)
    if not value and missing:
        raise _UnusableError(missing)
    return value


def _identifier(text: str, pseudonym: Pseudonym) -> int:
    """Return the pseudonym of an identifier that is given raw or as we print it."""
    return int(text, 16) if PSEUDONYM.fullmatch(text) else pseudonym(text)


def _moment(value: object) -> int:
    if isinstance(value, str):
        try:
            value = timestamp_ms(value)
        except (ValueError, OverflowError):
            raise _UnusableError("bad_timestamp") from None
    if type(value) is not int:
        raise _UnusableError("bad_timestamp")
    if not YEAR_2000_MS <= value < YEAR_9999_MS:
        raise _UnusableError("implausible_timestamp")
    return value
