"""The taxonomy at work: terms, codes, dangers and feeling."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.lexicon import Lexicon
from models.phrases import Phrases, phrase_pattern
from qianshao.errors import ModelError


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("门锁离线了，远程开不了", ("离线", "远程失效")),
        ("app一打开就退，错误码e207", ("闪退", "E207")),
        ("同一单扣了两次钱，退款一直没到账", ("重复扣款", "不到账")),
        ("短信发了几次还是收不到验证码", ("验证码收不到",)),
        ("报错W501，然后白屏", ("W501", "白屏")),
        ("苹果烂了一半还发霉", ("腐烂", "发霉")),
        ("软件点开就弹回桌面，又说已停止运行", ("闪退",)),
        ("钱扣着不给，显示退款成功零钱没有", ("退款慢", "不到账")),
        ("一直在武汉分拨中心没下文", ("停滞", "不更新")),
        ("二维码刷不开，闸机不认", ("扫码失败",)),
        ("页面786结算变851", ("价格不符",)),
        ("换成另一个人的资料了", ("串号",)),
        ("玩一会就自己关机", ("自动关机",)),
        ("配送费怎么变成8块了", ("涨价",)),
        ("昨天还是三块，今天怎么这么贵", ("涨价",)),
        ("验票不通过，后面排一堆人", ("扫码失败",)),
        ("订房成功却没有保留房间", ("到店无房",)),
        ("又来问了，退款到底什么时候", ("退款慢",)),
        ("被客服怼了，气死", ("态度差",)),
        ("味道不错，就是太贵了", ()),
        ("手续费多少，门票多钱呢", ()),
        ("入住满意，包装没坏，附加价值高", ()),
        ("升级完图标不一样了，满减用不了吗", ()),
        ("没有离线，就是问问会掉色吗", ()),
        ("型号L1 Pro，版本v3.2.1，C002门店", ()),
        ("今天天气不错", ()),
    ],
)
def test_faults_told_in_many_words_become_one_term(lexicon: Lexicon, text: str, terms: tuple[str, ...]) -> None:
    assert lexicon.terms(text) == terms


@pytest.mark.parametrize(
    ("text", "danger"),
    [
        ("热水器冒烟了怎么办", "人身安全/冒烟起火"),
        ("洗澡的时候被电了一下", "人身安全/触电"),
        ("吃完全家拉肚子了", "人身安全/食物中毒"),
        ("两个人吃完都吐了", "人身安全/食物中毒"),
        ("插头一股焦味还有烟", "人身安全/冒烟起火"),
        ("有人冒充你们客服让我转账", "资金安全/可疑来电"),
        ("卡里的钱被转走了", "资金安全/盗刷"),
        ("摄像头里有人说话", "信息安全/隐私泄露"),
        ("已经拉肚子两天了你们管不管", "人身安全/食物中毒"),
    ],
)
def test_an_asserted_danger_is_named(lexicon: Lexicon, text: str, danger: str) -> None:
    assert lexicon.danger(text) == danger


@pytest.mark.parametrize(
    "text",
    [
        "没有冒烟",
        "不会漏电吧",
        "会漏电吗",
        "担心爆炸",
        "会不会触电啊",
        "如果起火了谁负责",
        "万一漏电怎么办",
        "从来没拉肚子",
        "这个防触电吗",
        "吃了会拉肚子吗",
        "味道爆炸好吃",
        "很安全很满意",
        "是不是漏电了",
        "网上说别的牌子的门锁爆炸了，你们有检测吗",
        "听说有家的热水器冒烟了",
    ],
)
def test_denied_asked_and_feared_dangers_are_not_asserted(lexicon: Lexicon, text: str) -> None:
    assert lexicon.danger(text) == ""


OWN = """
version = "hatchery.1"
[topics]
"孵化" = { strong = ["孵~不出", "濕度"], weak = ["ＥＧＧ"] }
"设备离线" = { strong = ["离线"] }
"""


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ("version = ", "is not TOML"),
        ('version = "x"', "`topics`"),
        ('version = "x"\n[topics]', "length >= 1"),
        ('version = "x"\n[topics]\n"" = {}', "length >= 1"),
        ('version = "x"\n[topics]\n"锁" = { strnog = ["锁"] }', "strnog"),
        ('version = "x"\n[topics]\n"锁" = { strong = "锁" }', "topics"),
        ('version = "x"\n[topics]\n"锁" = { strong = ["锁~"] }', "matching regex"),
        ('version = "x"\n[topics]\n"锁" = { strong = ["锁", ""] }', "length >= 1"),
        (OWN + '[danger]\n"火" = { words = ["火"] }', "danger"),
        (OWN + "[cues]\na = 1", "cues"),
    ],
)
def test_a_broken_taxonomy_is_refused_with_the_place(toml: str, reason: str) -> None:
    with pytest.raises(ModelError, match=f"^taxonomy: .*{reason}"):
        Lexicon(toml)


def test_a_taxonomy_of_ones_own_has_its_topics_and_the_rest_of_the_shipped_one(lexicon: Lexicon) -> None:
    own = Lexicon(OWN)
    assert (own.version, own.topics) == ("hatchery.1", ("孵化", "设备离线"))
    assert own.terms("门锁离线了") == lexicon.terms("门锁离线了") == ("离线",)
    assert own.stop_words == lexicon.stop_words
    assert Lexicon(OWN + '[faults]\n"孵不出" = ["孵~不出"]').terms("离线，孵了很久不出") == ("孵不出",)


def test_cues_of_ones_own_are_found_in_normalised_texts_however_they_are_written() -> None:
    cues = Lexicon(OWN).topic_cues(["湿度太低", "孵了一周不出", "EGG"])
    assert cues.tolist() == [[1.0, 0.0], [1.0, 0.0], [0.25, 0.0]]


def test_every_shipped_phrase_leads_to_its_own_term(lexicon: Lexicon) -> None:
    # A phrase may be swallowed by a longer one, but it must never lead to nothing.
    missed = [
        phrase
        for phrases in lexicon.faults.values()
        for phrase in phrases
        if not lexicon._faults.find(phrase.replace("~", ""))
    ]
    assert missed == []


PHRASES = ["退款", "退款慢", "退~钱", "不", "不好", "没~到", "打不开", "打~坏了", "打", "好评", "ab", "a"]
_SCAN = re.compile(phrase_pattern(PHRASES))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text("退款慢钱不好没到打开坏了评，。 ab\n😀", max_size=20), max_size=5))
def test_phrases_are_found_in_batches_as_one_pattern_finds_them_in_each_text(texts: list[str]) -> None:
    found = Phrases({phrase: phrase for phrase in PHRASES}).by_text(texts)
    places = [[(start, end) for start, end, _ in some] for some in found]
    assert places == [[match.span() for match in _SCAN.finditer(text)] for text in texts]
    for text, some in zip(texts, found, strict=True):
        for start, end, phrase in some:
            assert re.fullmatch(phrase.replace("~", ".{0,4}"), text[start:end])


def test_a_batch_says_what_its_texts_say_alone() -> None:
    lexicon = Lexicon()
    texts = ["热水器冒烟了怎么办", "", "app一打开就退，错误码e207", "谢谢啊，又坏了", "不会漏电吧", "退款没到账"]
    assert lexicon.terms_of(texts) == [lexicon.terms(text) for text in texts]
    assert lexicon.dangers_of(texts) == [lexicon.danger(text) for text in texts]
    assert lexicon.feelings(texts) == [lexicon.feelings([text])[0] for text in texts]
    assert (lexicon.topic_cues(texts) == [lexicon.topic_cues([text])[0] for text in texts]).all()


@pytest.mark.parametrize("text", ["好吃到爆炸", "辣得我头顶冒烟", "香炸了", "笑得肚子都炸了"])
def test_what_only_praises_names_neither_fault_nor_danger(lexicon: Lexicon, text: str) -> None:
    assert (lexicon.terms(text), lexicon.danger(text)) == ((), "")


def test_true_or_false_is_a_question_and_no_counterfeit(lexicon: Lexicon) -> None:
    assert lexicon.terms("下个月起收费是真的假的") == ()
    assert lexicon.terms("我就说是假的，群里还在传") == ()
    assert lexicon.terms("香蕉坏了") == ("坏了",)
    assert lexicon.terms("买到假的了") == ("假货",)
