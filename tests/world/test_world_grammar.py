"""The grammar with slots."""

from __future__ import annotations

from random import Random

import pytest
from stdnum import luhn
from stdnum.cn import ric

from flows.sources.world.catalog import PRODUCTS
from flows.sources.world.contacts import FOLLOW
from flows.sources.world.grammar import Grammar, compile_template, phrases
from flows.sources.world.speech import (
    AGENT_CLOSE,
    AGENT_OPEN,
    AGENT_TALK,
    BOT,
    DETAIL,
    GRAMMAR,
    GREETINGS,
    STORY,
    THANKS,
    VAGUE,
    recognise_speech,
)
from flows.sources.world.topics import TOPICS, topics_of
from flows.sources.world.troubles import TROUBLES, troubles_of

SLOTS = {
    "product": "门锁",
    "model": "K2",
    "city": "杭州",
    "phone": "13800000000",
    "fullname": "王芳",
    "surname": "王",
    "agent": "001",
}


def said(text: str, rules: dict[str, str] | None = None) -> set[str]:
    grammar = Grammar({name: phrases(block) for name, block in (rules or {}).items()}, {"n": lambda rng: "7"})
    return {grammar.say(Random(seed), compile_template(text), {"who": "我"}) for seed in range(60)}


def test_alternatives_nest_and_may_be_empty() -> None:
    assert said("a[b|c[d|]|]e") == {"abe", "acde", "ace", "ae"}


def test_slots_go_before_makers_and_makers_before_rules() -> None:
    assert said("{who}{n}{what}", {"who": "你", "n": "8", "what": "x\ny"}) == {"我7x", "我7y"}


def test_a_bar_outside_brackets_is_a_letter() -> None:
    assert said("a|b") == {"a|b"}


@pytest.mark.parametrize("text", ["a[b", "a]b", "[a|b"])
def test_a_bracket_without_its_fellow_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="template"):
        compile_template(text)


def test_an_unknown_slot_is_refused() -> None:
    with pytest.raises(KeyError):
        said("{nothing}")


def test_every_template_of_the_world_can_be_spoken() -> None:
    rng = Random(1)
    pools = [VAGUE, FOLLOW, DETAIL, GREETINGS, THANKS, BOT, AGENT_OPEN, AGENT_TALK, AGENT_CLOSE, STORY]
    pools += [pool for topic in TOPICS for pool in (topic.says, topic.notes)]
    pools += [pool for trouble in TROUBLES.values() for pool in (trouble.says, trouble.notes)]
    for pool in pools:
        for template in pool:
            for _ in range(20):
                text = GRAMMAR.say(rng, template, SLOTS)
                assert text.strip()
                assert not set(text) & set("{}|")


def test_every_product_has_topics_and_faults() -> None:
    for product in PRODUCTS:
        assert len(topics_of(product.name)) >= 5
        assert len(troubles_of(product.name)) >= 3


def test_speech_is_heard_without_punctuation_and_digits_are_spoken() -> None:
    heard, confidence = recognise_speech(Random(2), "您好，订单19283，门锁连不上！")
    assert not set(heard) & set("，！0123456789")
    assert "幺" in heard
    assert 0.4 <= confidence <= 1


def test_speech_gathers_fillers_and_homophones() -> None:
    heard = {recognise_speech(Random(seed), "门锁连不上退款没到账")[0] for seed in range(200)}
    assert any("呃" in text for text in heard)
    assert any("门所" in text or "连部上" in text or "推款" in text for text in heard)


def test_invented_cards_and_identity_numbers_pass_their_checks() -> None:
    rng = Random(3)
    for _ in range(100):
        card = GRAMMAR.say(rng, compile_template("{card}"), {})
        identity = GRAMMAR.say(rng, compile_template("{idcard}"), {})
        assert luhn.is_valid(card)
        assert ric.is_valid(identity)
