"""The shipped layers: they are what the code yields, and they know service talk from small talk."""

from __future__ import annotations

import random
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from models.features import feature_matrix
from models.lexicon import Lexicon
from models.linear import Seed, load_seed
from models.seed import corpus_fingerprint, write_seed
from models.seed_corpus import tellings
from models.sentiment import SentimentModel
from models.tokens import Tokeniser
from models.topic import TopicModel, is_small_talk
from qianshao.errors import ModelError


class Reader:
    """The two models over one vocabulary, as `Understanding` wires them."""

    def __init__(self) -> None:
        self.lexicon = Lexicon()
        self.tokeniser = Tokeniser(self.lexicon)
        self.seed: Seed = load_seed()
        self.topic_model = TopicModel(self.lexicon, self.seed.topic)
        self.sentiment_model = SentimentModel(self.lexicon, self.seed.sentiment)

    def read(self, *texts: str) -> list[tuple[str, float]]:
        words = [self.tokeniser.content(self.tokeniser.words(text)) for text in texts]
        matrix = feature_matrix(texts, words, self.seed.bits)
        topics = [topic for topic, _ in self.topic_model.label(texts, matrix)]
        return list(zip(topics, self.sentiment_model.label(texts, matrix), strict=True))


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def test_the_shipped_layers_were_fitted_on_this_corpus_and_taxonomy(reader: Reader) -> None:
    assert reader.seed.fingerprint == corpus_fingerprint(reader.lexicon), "run python -m models.seed"
    assert set(reader.seed.topic.labels) == {*reader.lexicon.topics, ""}
    assert len(files("models").joinpath("seed.npz").read_bytes()) < 1_500_000


@pytest.mark.slow
def test_fitting_again_yields_the_shipped_layers(reader: Reader, tmp_path: Path) -> None:
    write_seed(tmp_path / "again.npz")
    again = load_seed(tmp_path / "again.npz")
    for shipped, fitted in ((reader.seed.topic, again.topic), (reader.seed.sentiment, again.sentiment)):
        assert shipped.labels == fitted.labels
        assert np.abs(shipped.weights - fitted.weights).max() < 0.05 * np.abs(shipped.weights).max()


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("家里的门锁突然连不上网了", "设备离线"),
        ("指纹按了半天没反应门打不开", "设备故障"),
        ("你们软件点开一片空白", "应用故障"),
        ("插座冒火星还有焦味", "安全隐患"),
        ("验证码一直收不到登不进去", "账号登录"),
        ("一笔订单给我扣了两回钱", "支付扣款"),
        ("退货申请了好几天钱还没退", "退款售后"),
        ("骑手一个多钟头了还没把饭送来", "物流配送"),
        ("要的黑色给我寄成白色了发错货", "错发漏发"),
        ("裤子穿两天就开线质量太差", "商品质量"),
        ("外卖里吃出虫子了", "食品安全"),
        ("到前台说没有我的预订", "预订订单"),
        ("航班取消了机票怎么退", "改签退票"),
        ("发票抬头开错了重新开", "发票"),
        ("优惠券明明没过期却用不了", "优惠活动"),
        ("刚买完第二天就降价了能退差价吗", "价格"),
        ("约好今天上门安装师傅没来", "安装维修"),
        ("那个客服态度恶劣我要投诉", "服务态度"),
        ("有人冒充客服骗我转账", "诈骗信息"),
        ("谁把我个人信息泄露出去了", "信息隐私"),
        ("我的积分怎么清零了", "会员积分"),
        ("临时密码怎么设置", "使用咨询"),
    ],
)
def test_each_topic_is_recognised_in_a_sentence_outside_the_corpus(reader: Reader, text: str, topic: str) -> None:
    assert reader.read(text)[0][0] == topic


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("软件刚点开就弹回去了", "应用故障"),
        ("跳个窗说程序已停止运行", "应用故障"),
        ("资料填一半退出去了全没了", "应用故障"),
        ("钱压你们那儿快一个月了还不给", "退款售后"),
        ("写着退款成功卡上一分没有", "退款售后"),
        ("退的鞋子寄回去签收了，钱没退", "退款售后"),
        ("包裹趴在合肥转运中心五天了", "物流配送"),
        ("箱子翻遍了没找着遥控器", "错发漏发"),
        ("够两百了满减不跳", "优惠活动"),
        ("页面上五百三结算变六百", "价格"),
        ("抬头填好一保存就没了", "发票"),
        ("电子票的pdf打不开", "发票"),
        ("等二十分钟了码还没来", "账号登录"),
        ("会员自己续了一年 谁同意的", "支付扣款"),
        ("到酒店前台说没我名字", "预订订单"),
        ("门票二维码闸机不认", "预订订单"),
        ("我的高铁票怎么自己变成已取消", "改签退票"),
        ("猫眼没画面 有人按铃也不提示", "设备故障"),
        ("昨天的回放全是空的", "设备故障"),
        ("放半天放不出热水 屏上一直报代码", "设备故障"),
        ("平板升级完卡在logo开不了机", "设备故障"),
        ("猫上灯是红的 上不了网", "设备离线"),
        ("热线打一天都占线", "服务态度"),
        ("退出重进又换了另一个人的", "信息隐私"),
        ("约了九点师傅放我鸽子", "安装维修"),
    ],
)
def test_faults_are_recognised_as_people_in_a_hurry_tell_them(reader: Reader, text: str, topic: str) -> None:
    assert reader.read(text)[0][0] == topic


@pytest.mark.parametrize(
    "text",
    [
        "东西不错",
        "物流很快，包装也好",
        "画面挺清楚的",
        "钱收到了谢谢",
        "网好了不用管了",
        "晚点再打给你",
        "我的号码〔手机〕",
        "从首都机场打车到酒店多远",
        "房间有点小，位置不错",
        "给我放一首老歌",
    ],
)
def test_praise_and_small_things_on_the_same_subjects_have_no_topic(reader: Reader, text: str) -> None:
    assert reader.read(text)[0][0] == ""


def test_a_line_of_the_corpus_is_told_in_different_sentences_and_the_same_each_time() -> None:
    line = "{锁|门|灯}{打不开|不亮|坏}了{|吗}"
    few = tellings(line, random.Random(3), 5)
    assert few == tellings(line, random.Random(3), 5)
    assert len(set(few)) == 5
    assert (
        set(few)
        < set(tellings(line, random.Random(3), 18))
        == {a + b + "了" + c for a in ("锁", "门", "灯") for b in ("打不开", "不亮", "坏") for c in ("", "吗")}
    )


@pytest.mark.parametrize(
    "text",
    [
        "你好",
        "在吗",
        "好的谢谢",
        "嗯嗯知道了",
        "转人工",
        "订单号〔订单号〕",
        "收到 谢谢[微笑]",
        "OK",
        "〔手机〕",
        "亲，在吗？",
        "谢谢你啊",
    ],
)
def test_greetings_thanks_and_bare_numbers_have_no_topic(reader: Reader, text: str) -> None:
    assert is_small_talk(text)
    assert reader.read(text)[0][0] == ""


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("味道很好", "味道不好"),
        ("非常满意", "非常不满意"),
        ("谢谢，已经好了", "谢谢啊，又坏了"),
        ("送餐很快", "送餐太慢"),
        ("在不在", "呵呵你们真厉害，扣我两次钱"),
        ("一点都不贵", "太贵了"),
        ("你好，怎么连wifi", "一直连不上，太差劲了"),
        ("谢谢师傅，修好了", "谢谢你们，又离线了"),
        ("谢谢，很满意", "谢谢，一点都不满意"),
        ("客服态度很好", "客服态度没有很好"),
        ("服务真的很好", "服务真的很差"),
        ("速度非常快", "速度非常慢"),
        ("多谢，问题解决了", "多谢，又打不开了"),
        ("感谢，退款已经到账", "感谢啊，退款还没到账"),
    ],
)
def test_negation_degree_and_sarcasm_turn_the_feeling(reader: Reader, better: str, worse: str) -> None:
    (_, high), (_, low) = reader.read(better, worse)
    assert high >= 0 > low


def test_a_damaged_or_foreign_model_file_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(b"not an archive")
    with pytest.raises(ModelError, match=r"damaged\.npz"):
        load_seed(damaged)
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, format=np.array(99))
    with pytest.raises(ModelError, match="format 99"):
        load_seed(foreign)
    with pytest.raises(ModelError, match="cannot be read"):
        load_seed(tmp_path / "missing.npz")


def test_a_row_of_features_depends_on_its_own_text_alone() -> None:
    texts = ["门锁离线", "", "a", "你好\ud800", "门锁"]
    words = [["门锁", "离线"], [], [], ["你好"], ["门锁"]]
    whole = feature_matrix(texts, words, 14)
    for index in range(len(texts)):
        alone = feature_matrix(texts[index : index + 1], words[index : index + 1], 14)
        assert (whole[index].toarray() == alone.toarray()).all()
