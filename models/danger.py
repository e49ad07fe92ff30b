"""Rare dangers that a text asserts: somebody hurt or nearly, money gone, an account taken, a swindler who knows."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.features import count_matrix
from models.lexicon import Lexicon
from models.linear import Linear
from models.phrases import Phrases
from qianshao.errors import ModelError

FORMAT = 1
ASSERTED = 0.9
"""From this probability on, the layer alone says that a danger is asserted."""
NOT_EXCLUDED = 0.35
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
WINDOW_CHARS = 56
"""Longer texts are read around what gives rise to suspicion, so that a long story does not drown one sentence."""
_MAX_WINDOWS = 6
_MARK = re.compile(r"[，。！？；,.!?;…\s]")
_CUES = (
    "烟|焦|糊|烧|火|熔|融化|碳化|鼓包|鼓起|鼓了|鼓得|膨胀|胀|烫|炸|爆|崩|碎片|巨响|喷出|砰|嘭|"
    "漏电|触电|被电|带电|有电|电人|电手|电到|电了|电着|电麻|电倒|电击|电流|过电|电得|电晕|麻|跳闸|漏保|短路|"
    "伤|划|割|夹|砸|摔|扎|刺|血|骨折|缝|肿|泡|误吞|吞|咽|困|反锁|中毒|泄漏|泄露|燃气|煤气|撞|咬|脱皮|口子|滑倒|卷进|抢救|120|119|"
    "拉肚|拉稀|拉水|拉了|拉得|窜稀|跑厕所|腹泻|腹痛|吐|呕|泻|肠胃|肠炎|胃|肚子|吃坏|医院|急诊|住院|挂水|输液|点滴|吊针|打针|医生|大夫|就医|医药费|"
    "不适|不舒服|头晕|发烧|恶心|细菌|病|过敏|疹|痒|红点|红肿|疙瘩|溃烂|烂脸|水泡|皮炎|休克|荨麻|"
    "骗|盗|刷|转走|转账|转钱|转出|转给|转了|划走|提走|取走|冒充|假冒|冒用|假客服|自称|验证码|共享|链接|二维码|扫码|扫了个码|安全账户|百万保障|"
    "保证金|贷款|理赔|打款|汇|钱没|钱全|钱不见|没了|空了|掏空|清零|少了|不是我|不是本人|非本人|没操作|我没买|没换|异地|换绑|被改|改了密码|改了手机|"
    "别人登|人登|登了我|被黑|入侵|报警|派出所|民警|警察|消防|上当|电话说|短信说|来电|知道我|我的订单|订单信息|车祸|上报|紧急|可疑|陌生|会议软件|"
    "疼|痛|死人|倒下|毒|断了|塌|掉下|不敢碰|流水|味"
).split("|")
"""What a text must hold to be read by the layer at all; one or two of a hundred ordinary texts assert nothing of it."""


class DangerLayer(NamedTuple):
    """The fitted layer and how its features are made."""

    bits: int
    chars: int
    syllables: int
    linear: Linear


class DangerModel:
    """Danger that each text of a batch asserts.

    Phrases of the taxonomy with their rules for denial, hearsay, worry and question propose; so does a linear layer over
    hashed n-grams of characters and syllables, fitted on sentences that the project wrote. The layer alone must be sure
    (`ASSERTED`), and a phrase is not believed where the layer excludes it (`NOT_EXCLUDED`). Its probabilities were
    calibrated on phrasings that it had not been fitted on.

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
        self._cues = Phrases(dict.fromkeys(_CUES, ""))
        known = {name.partition("/")[0] for name in lexicon.dangers}
        self._names = [
            f"{FAMILIES[label]}/{label}" if label and FAMILIES[label] in known else ""
            for label in self._layer.linear.labels
        ]
        self._named = np.array([bool(name) for name in self._names])
        self._families = frozenset(FAMILIES.values())

    def label(self, texts: Sequence[str]) -> list[str]:
        """Return the danger that each text asserts, `family/kind`, '' if none.

        >>> from models.lexicon import shipped_lexicon
        >>> DangerModel(shipped_lexicon()).label(["插头那里黑了一块还有味", "气得冒烟"])
        ['人身安全/冒烟起火', '']
        """
        asserted = self._lexicon.dangers_of(texts)
        if not self._named.any():
            return asserted
        windows, owners = self._suspicious(texts)
        if not windows:
            return asserted
        shares = self._shares(windows)
        chances = shares[:, self._named].sum(axis=1)
        best = np.where(self._named, shares, -1.0).argmax(axis=1)
        highest: dict[int, int] = {}
        for window, owner in enumerate(owners):
            if owner not in highest or chances[window] > chances[highest[owner]]:
                highest[owner] = window
        for owner, window in highest.items():
            chance, phrase = float(chances[window]), asserted[owner]
            if chance >= ASSERTED or (phrase and chance >= NOT_EXCLUDED and phrase.partition("/")[0] in self._families):
                asserted[owner] = self._names[best[window]]
            elif phrase and phrase.partition("/")[0] in self._families:
                asserted[owner] = ""
        return asserted

    def _suspicious(self, texts: Sequence[str]) -> tuple[list[str], list[int]]:
        """Return what the layer is to read, and the number of the text that each piece is from."""
        found = self._cues.find(texts)
        windows: list[str] = []
        owners: list[int] = []
        last, reach, read = -1, 0, 0
        for row, start in zip(found.rows.tolist(), found.starts.tolist(), strict=True):
            if row != last:
                last, reach, read = row, 0, 0
            text = texts[row]
            if start < reach or read >= _MAX_WINDOWS:
                continue
            read += 1
            if len(text) <= WINDOW_CHARS:
                reach = len(text)
                windows.append(text)
            else:
                reach = start + WINDOW_CHARS // 4
                windows.append(_window(text, start))
            owners.append(row)
        return windows, owners

    def _shares(self, windows: Sequence[str]) -> NDArray[np.float64]:
        logits = self._layer.linear.logits(
            danger_features(windows, self._layer.bits, self._layer.chars, self._layer.syllables)
        )
        logits -= logits.max(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.exp(logits)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares


def _window(text: str, place: int) -> str:
    """Return the clauses around a place."""
    start, end = max(0, place - WINDOW_CHARS // 2), min(len(text), place + WINDOW_CHARS // 2)
    if start:
        mark = _MARK.search(text, start, place)
        start = mark.end() if mark else start
    if end < len(text):
        marks = [match.start() for match in _MARK.finditer(text, place, end)]
        end = marks[-1] if marks else end
    return text[start:end]


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
    name = "the shipped danger layer" if path is None else str(path)
    try:
        if path is not None:
            with path.open("rb") as handle:
                return _read(handle, name)
        with files("models").joinpath("danger.npz").open("rb") as shipped:
            return _read(shipped, name)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"model {name}: cannot be read ({error}); write it again with python -m models.danger_training"
        ) from None


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
