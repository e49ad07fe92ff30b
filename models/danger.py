"""Rare dangers that a text asserts: somebody hurt or nearly, money gone, an account taken, a swindler who knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.features import count_matrix
from models.lexicon import Lexicon
from models.linear import Linear, read_archive
from models.phrases import Phrases
from qianshao.errors import ModelError

FORMAT = 1
ASSERTED = 0.5
"""From this probability on, the layer alone says that a danger is asserted."""
NOT_EXCLUDED = 0.06
"""What a phrase of the taxonomy asserts holds from this probability on: below it the sentence is read as a joke, a
denial or an ordinary complaint."""
FAMILIES = {
    "冒烟起火": "人身安全",
    "触电": "人身安全",
    "爆炸": "人身安全",
    "受伤": "人身安全",
    "食物中毒": "人身安全",
    "过敏": "人身安全",
    "盗刷": "资金安全",
    "账户被盗": "资金安全",
    "诈骗": "资金安全",
    "可疑来电": "资金安全",
}
"""The family of each kind that the layer knows; a danger is named `family/kind`."""
WINDOW_CHARS = 40
"""Longer texts are read around what gives rise to suspicion, so that a long story does not drown one sentence."""
DENIED = 0.95
"""What the layer must reach against a phrase that the taxonomy's rules read as denied, feared, asked or heard of."""
_MAX_WINDOWS = 40
"""Of the longest texts so many places are read; beyond them phrases stand unexamined."""
_MARK = re.compile(r"[，。！？；,.!?;…\s]")
_CUES = {
    "冒烟起火": (
        "烟 焦 糊 烧 着火 起火 冒火 火苗 火星 火花 明火 打火 喷火 窜火 着了 点着 房子点了 熔 融化 化了 化开 "
        "化掉 碳化 鼓包 鼓起 鼓了 鼓得 膨胀 胀大 胀起 烫 热得 自燃 短路 熏黑 熏黄 胡味 有味 胶味 塑料味"
    ),
    "触电": (
        "漏电 露电 触电 被电 带电 有电 电人 电手 电到 电了 电着 电麻 电倒 电击 电流 电得 电晕 电翻 电哭 电死 "
        "走电 跑电 电笔 麻手 手麻 麻了 麻人 发麻 麻得 麻酥 麻一下 麻感 都麻 跳闸 跳电 漏保 酥 被点了 刺手 "
        "刺痛 弹开"
    ),
    "爆炸": "炸 爆 崩 碎片 巨响 喷出 砰 嘭 轰 啪 碎渣",
    "受伤": (
        "伤 划 割 夹 砸 摔 扎 刺 血 骨折 骨裂 缝 肿 水泡 起泡 误吞 误食 误服 吞 咽 困在 被困 困了 反锁 关在 "
        "锁在 一氧化碳 煤气 燃气 天然气 撞 咬 脱皮 一层皮 口子 滑倒 滑了 地滑 跌 绊 塌 掉下 卷进 卷住 绞 "
        "抢救 120 急诊 住院 车祸 交通事故 打了我 烫 红一片 椎 磕破 磕掉"
    ),
    "食物中毒": (
        "拉肚 拉稀 拉水 拉了 拉得 拉到 都拉 全拉 窜稀 厕所 马桶 腹泻 腹痛 上吐 吐 呕 泻 肠胃 肠炎 胃 肚子 "
        "吃坏 吃进 吃出 医院 急诊 住院 挂水 输液 点滴 吊针 吊瓶 打针 中毒 有毒 痢疾 沙门 细菌 不适 不舒服 "
        "头晕 发烧 恶心 洗胃 脱水 嘴麻 发麻 中招 倒下 病倒 躺倒 划破 崩 卡喉 戳 老鼠"
    ),
    "过敏": (
        "过敏 脱敏 疹 痒 红点 全是红包 红肿 红疙瘩 疙瘩 溃烂 烂了 烂掉 烂脸 水泡 皮炎 休克 荨麻 肿 脱皮 黄水 "
        "喘不 呼吸困难 流鼻血 灼伤"
    ),
    "盗刷": (
        "盗 刷 转走 转出 划走 提走 取走 扣走 套走 掏 偷走 卷走 没了 空了 不是我 不是本人 非本人 没操作 "
        "我没买 我没刷 我没花 我没付 我没用 我没动 我没操作 本人操作 贷款 境外 国外 异地 不知道谁 莫名 "
        "无缘无故 人转 人取 人花 被转"
    ),
    "账户被盗": (
        "被盗 盗 异地 换绑 被改 改了密码 改了手机 改密 别人登 人登 登了我 被黑 人黑 黑了 入侵 被换 全变 "
        "我没换 我没登 我没改 我没去 被人用 篡改 不是我"
    ),
    "诈骗": (
        "骗 诈 冒充 假冒 冒用 名义 旗号 假客服 自称 验证码 共享 远程控制 会议 链接 二维码 扫了 转账 转钱 "
        "转给 转了 转出 转过 转走 套走 打款 打钱 打过去 汇款 汇了 安全账户 保障 保证金 贷款 理赔 百万 掏空 "
        "清零 上当 刷单 返利 兼职 加微信 加了微信 加QQ 没了 空了 洗脑 忽悠 知道我 我的订单 说得出 报得出 "
        "报出 一字不差"
    ),
    "可疑来电": "骗 诈 冒充 假冒 自称 电话说 短信说 称是 验证码 可疑 陌生 钓鱼 假短信 奇怪 中奖 来电",
}
"""What a text must hold to be read by the layer at all, and for which kinds."""


class DangerLayer(NamedTuple):
    """The fitted layer and how its features are made."""

    bits: int
    chars: int
    syllables: int
    linear: Linear


class DangerModel:
    """Danger that each text of a batch asserts.

    Phrases of the taxonomy with their rules for denial, hearsay, worry and question propose; so does a linear layer
    over hashed n-grams of characters and syllables, fitted on sentences that the project wrote. The layer alone must
    be sure (`ASSERTED`), and a phrase is not believed where the layer excludes it (`NOT_EXCLUDED`). Its probabilities
    were calibrated on phrasings that it had not been fitted on.

    Parameters
    ----------
    lexicon
        Names the dangers. Kinds of the layer whose family the taxonomy does not have are not named: a taxonomy of
        dangers of one's own rests on its phrases.
    layer
        The shipped one by default.

    Notes
    -----
    Only texts with a cue are read by the layer; the others cost a look-up, about 1 µs. It fails on dangers told over
    several turns, and on sentences whose words are all ordinary: 那个东西昨晚出事了.
    """

    def __init__(self, lexicon: Lexicon, layer: DangerLayer | None = None) -> None:
        self._lexicon = lexicon
        self._layer = load_layer() if layer is None else layer
        kinds: dict[str, list[str]] = {}
        for kind, cues in _CUES.items():
            for cue in cues.split():
                kinds.setdefault(cue, []).append(kind)
        self._cues = Phrases({cue: " ".join(some) for cue, some in kinds.items()})
        labels = self._layer.linear.labels
        self._allowed = np.array([[label in some.split() for label in labels] for some in self._cues.values])
        """Which kinds each group of cues admits."""
        known = {name.partition("/")[0] for name in lexicon.dangers}
        self._names = [f"{FAMILIES[label]}/{label}" if label and FAMILIES[label] in known else "" for label in labels]
        self._named = np.array([bool(name) for name in self._names])
        self._families = frozenset(FAMILIES.values())

    def label(self, texts: Sequence[str]) -> list[str]:
        """Return the danger that each text asserts, `family/kind`, '' if none.

        >>> from models.lexicon import shipped_lexicon
        >>> DangerModel(shipped_lexicon()).label(["插头那里黑了一块还有味", "气得冒烟"])
        ['人身安全/冒烟起火', '']
        """
        readings = self._lexicon.danger_readings(texts)
        asserted = [name for name, _ in readings]
        if not self._named.any():
            return asserted
        windows, owners, admitted = self._suspicious(texts)
        if not windows:
            return asserted
        shares = self._shares(windows)
        shares[~(admitted & self._named)] = 0.0
        chances, best = shares.sum(axis=1), shares.argmax(axis=1)
        highest: dict[int, int] = {}
        for window, owner in enumerate(owners):
            if owner not in highest or chances[window] > chances[highest[owner]]:
                highest[owner] = window
        for owner, window in highest.items():
            chance, (phrase, denied) = float(chances[window]), readings[owner]
            if phrase and (phrase.partition("/")[0] not in self._families or owners.count(owner) >= _MAX_WINDOWS):
                continue
            needed = NOT_EXCLUDED if phrase else DENIED if denied else ASSERTED
            asserted[owner] = self._names[best[window]] if chance >= needed else ""
        return asserted

    def _suspicious(self, texts: Sequence[str]) -> tuple[list[str], list[int], NDArray[np.bool_]]:
        """Return what the layer is to read, the number of the text that each piece is from, and the kinds it admits."""
        found = self._cues.find(texts)
        windows: list[str] = []
        owners: list[int] = []
        groups: list[list[int]] = []
        last, until, read = -1, 0, 0
        for row, start, group in zip(found.rows.tolist(), found.starts.tolist(), found.values.tolist(), strict=True):
            if row != last:
                last, until, read = row, 0, 0
            elif start < until:
                groups[-1].append(group)
                continue
            if read >= _MAX_WINDOWS:
                continue
            begin, end = _window(texts[row], start)
            read, until = read + 1, end
            windows.append(texts[row][begin:end])
            owners.append(row)
            groups.append([group])
        admitted = np.zeros((len(windows), len(self._names)), dtype=np.bool_)
        for number, some in enumerate(groups):
            admitted[number] = self._allowed[some].any(axis=0)
        return windows, owners, admitted

    def _shares(self, windows: Sequence[str]) -> NDArray[np.float64]:
        logits = self._layer.linear.logits(
            danger_features(windows, self._layer.bits, self._layer.chars, self._layer.syllables)
        )
        logits -= logits.max(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares


def _window(text: str, place: int) -> tuple[int, int]:
    """Return where the clauses around a place begin and end."""
    if len(text) <= WINDOW_CHARS:
        return 0, len(text)
    start, end = max(0, place - WINDOW_CHARS // 2), min(len(text), place + WINDOW_CHARS // 2)
    if start:
        mark = _MARK.search(text, start, place)
        start = mark.end() if mark else start
    if end < len(text):
        marks = [match.start() for match in _MARK.finditer(text, place + 1, end)]
        end = marks[-1] if marks else end
    return start, end


def danger_features(texts: Sequence[str], bits: int, chars: int, syllables: int) -> sparse.csr_matrix:
    """Hash each text into one row: which n-grams occur, each row of length one; shape (texts, 2**bits)."""
    matrix = count_matrix(texts, [[]] * len(texts), bits, chars=chars, pairs=False, syllables=syllables)
    kinds = np.diff(matrix.indptr)
    matrix.data = np.repeat(1.0 / np.sqrt(np.maximum(kinds, 1)), kinds).astype(np.float32)
    return matrix


def load_layer(path: Path | None = None) -> DangerLayer:
    """Read the layer.

    Parameters
    ----------
    path
        A file written by `python -m models.danger_training`; None = the shipped one.

    Raises
    ------
    ModelError
        If the file is missing, damaged or of another format.
    """
    return read_archive(path, "danger.npz", "the shipped danger layer", "python -m models.danger_training", _read)


def _read(handle: IO[bytes], name: str) -> DangerLayer:
    with np.load(handle, allow_pickle=False) as archive:
        if int(archive["format"]) != FORMAT:
            raise ModelError(f"model {name}: has format {int(archive['format'])}, expected {FORMAT}; update Qianshao")
        linear = Linear(
            tuple(str(label) for label in archive["labels"]),
            archive["weights"].astype(np.float32) * archive["scale"],
            archive["bias"],
        )
        return DangerLayer(int(archive["bits"]), int(archive["chars"]), int(archive["syllables"]), linear)
