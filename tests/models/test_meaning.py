"""Meaning: paraphrases are near, a text means the same in any company, and trouble is told from calm."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import meaning
from models.meaning import READ_CHARS, Encoder, Meaning, load_trouble
from models.trouble_training import trouble_fingerprint, write_trouble
from qianshao.errors import ModelError
from qianshao.event import Observation
from qianshao.meaning import UNIT

PARAPHRASES = (
    ("门锁连不上网了", "家里的锁一直显示离线", "什么时候开发票"),
    ("吃了你们的饭拉肚子", "吃完你家盒饭上吐下泻", "盒饭几点开始送"),
    ("被扣了两次钱", "同一笔订单重复扣款", "新品什么颜色好看"),
    ("包裹三天没动静了", "物流信息一直不更新", "热水器怎么调温度"),
)
TROUBLED = (
    "柜门关不严，晚上自己弹开",
    "耳机左边没声音",
    "打开全是霉点",
    "刷卡进站闸机不认",
    "退的钱半个月了没见到",
    "收到的尺码跟下单的不一样",
    "客户反馈净水器出水发黄",
    "孩子上课画面卡住不动",
    "车开到半路突然熄火",
    "说好的赠品没有寄",
    "汤洒了一袋子",
    "验证码等了十分钟都不来",
)
CALM = (
    "这款有粉色的吗",
    "周末几点关门",
    "谢谢你们，处理得很快",
    "祝你们新年快乐呀",
    "客户咨询保修年限，已告知",
    "积分能换什么礼品",
    "下雨了让小哥慢点骑，不着急",
    "转发这条消息领红包",
    "能不能加个深色模式",
    "买两台有优惠吗",
    "机器人你会唱歌吗哈哈",
    "怎么把地址改成公司",
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


def _of(encoder: Encoder, *texts: str) -> list[Meaning]:
    found = [each for each in encoder.meanings(texts) if each is not None]
    assert len(found) == len(texts)
    return found


@pytest.mark.parametrize("texts", PARAPHRASES)
def test_other_words_for_one_thing_are_nearer_than_another_thing(encoder: Encoder, texts: tuple[str, str, str]) -> None:
    one, same, other = (each.vector.astype(int) for each in _of(encoder, *texts))
    assert one @ same > one @ other + 0.1 * UNIT**2


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([*TROUBLED, *CALM, "长" * 300 + "锁坏了"]), min_size=1, max_size=20))
def test_a_text_means_the_same_in_any_company(texts: list[str]) -> None:
    together = Encoder()
    together._encoder = _shared()._encoder
    alone = _shared()
    for text, found in zip(texts, together.meanings(texts), strict=True):
        (single,) = alone.meanings([text])
        assert found is not None
        assert single is not None
        assert (found.vector == single.vector).all()
        assert found.trouble == single.trouble


_kept: list[Encoder] = []


def _shared() -> Encoder:
    """Return one encoder that has loaded its weights and remembers nothing."""
    if not _kept:
        _kept.append(Encoder())
        _kept[0].meanings(["门锁坏了"])
    _kept[0]._known.clear()
    return _kept[0]


@pytest.mark.parametrize("text", ["", "在吗", "你好，谢谢", "12345678", "锁"])
def test_what_says_nothing_means_nothing(encoder: Encoder, text: str) -> None:
    assert encoder.meanings([text]) == [None]


def test_hostile_texts_have_a_meaning_or_none(encoder: Encoder) -> None:
    for text in ("\ud800坏了坏了", "\x00门锁坏了", "e\u0301" * 500, "‮门锁坏了", "💥" * 50):
        (found,) = encoder.meanings([text])
        assert found is None or (found.vector.shape == (512,) and 0.0 <= found.trouble <= 1.0)


def test_only_the_beginning_of_a_long_text_is_read(encoder: Encoder) -> None:
    begin = "快递员把我的包裹扔在雨里全湿了，" * 3
    one, other = _of(encoder, begin[:READ_CHARS], begin + "别的都挺好")
    assert (one.vector == other.vector).all()


def test_trouble_in_words_that_the_corpus_does_not_have_is_heard(encoder: Encoder) -> None:
    troubled = [each.trouble >= 0.5 for each in _of(encoder, *TROUBLED)]
    calm = [each.trouble < 0.5 for each in _of(encoder, *CALM)]
    assert sum(troubled) >= 11
    assert sum(calm) >= 11


def test_memory_of_texts_is_bounded_and_forgetting_changes_nothing(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _of(encoder, *TROUBLED)
    monkeypatch.setattr(meaning, "MAX_KNOWN", 13)
    small = Encoder()
    small._encoder = encoder._encoder
    for text in (*TROUBLED, *CALM, *TROUBLED):
        small.meanings([text])
        assert len(small._known) <= 13
    assert [each.trouble for each in _of(small, *TROUBLED)] == [each.trouble for each in before]


def test_the_shipped_layer_was_fitted_on_this_corpus() -> None:
    with np.load(Path("models/trouble.npz"), allow_pickle=False) as archive:
        assert str(archive["fingerprint"]) == trouble_fingerprint()


def test_a_damaged_layer_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "trouble.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(ModelError, match=r"models\.trouble_training"):
        load_trouble(path)


def test_a_layer_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trouble.npz"
    np.savez(path, format=np.array(99), bias=np.array(0.0))
    with pytest.raises(ModelError, match="format 99"):
        load_trouble(path)


@pytest.mark.slow
def test_the_layer_is_fitted_again_alike(tmp_path: Path) -> None:
    path = tmp_path / "trouble.npz"
    write_trouble(path)
    # The same rows start the same fits, but the last digits of a processor's sums do not: what is said must be alike.
    vectors = np.random.default_rng(5).integers(-40, 40, (200, 512)).astype(np.int8)
    assert np.abs(load_trouble(path).of(vectors) - load_trouble().of(vectors)).mean() < 0.02


def _event(
    text: str, *, sentiment: float = 0.0, topic: str = "", kind: str = "chat", role: str | None = "customer"
) -> Observation:
    return Observation(id="a", kind=kind, ts=0, role=role, text=text, sentiment=sentiment, topic=topic)


@pytest.mark.parametrize(
    ("event", "read"),
    [
        (_event("门锁坏了打不开"), True),
        (_event("门锁坏了打不开", kind="ticket", role=None), True),
        (_event("门锁坏了打不开", sentiment=0.6), False),
        (_event("门锁坏了怎么用", topic="使用咨询"), False),
        (_event("门锁坏了怎么用", topic="使用咨询", sentiment=-0.8), True),
    ],
)
def test_only_what_may_tell_of_trouble_is_read_and_what_may_not_tells_of_none(
    encoder: Encoder, event: Observation, read: bool
) -> None:
    event = msgspec.structs.replace(event)
    encoder.interpret([event])
    (known,) = encoder.meanings([event.text])
    assert known is not None
    assert (event.trouble, event.meaning) == ((known.trouble, known.vector.tobytes()) if read else (0.0, b""))


@pytest.mark.parametrize(
    "event",
    [
        _event(""),
        _event("在吗"),
        _event("门锁坏了打不开", role="agent"),
        _event("motor stalled at 12 V", kind="device", role=None),
    ],
)
def test_of_who_is_no_customer_or_says_nothing_no_trouble_is_known(encoder: Encoder, event: Observation) -> None:
    event = msgspec.structs.replace(event)
    encoder.interpret([event])
    assert (event.trouble, event.meaning) == (None, b"")
