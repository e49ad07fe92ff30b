"""Rare dangers that a text asserts: somebody hurt or nearly, money gone, an account taken, a swindler who knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.features import count_matrix
from models.hearsay import only_heard
from models.lexicon import Lexicon
from models.linear import Linear, read_archive
from models.phrases import Phrases
from qianshao.errors import ModelError

FORMAT = 1
ASSERTED = 0.67
"""From this probability on, the layer alone says that a danger is asserted."""
ASSERTED_OF = {"隐私泄露": 0.6, "过敏": 0.9, "诈骗": 0.8}
"""Kinds that are asked less or more: hardly anything else speaks like the first, many speak of skin and hair, and of
being cheated, without harm. Set on ordinary texts and on fortnights whose victims are known."""
UNPROMPTED = 0.9
"""What the layer must reach where no cue of the kind stands in the text: a cue is evidence by itself."""
NOT_EXCLUDED = 0.17
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
    "隐私泄露": "信息安全",
}
"""The family of each kind that the layer knows; a danger is named `family/kind`."""
SHORTEST = 3
"""A shorter text asserts nothing by itself."""
ALONE = 0.95
"""What the layer must reach for one clause by itself, where the whole does not assert what a phrase named."""
WINDOW_CHARS = 40
"""Longer texts are read around what gives rise to suspicion, so that a long story does not drown one sentence."""
DENIED = 0.95
"""What the layer must reach against a phrase that the taxonomy's rules read as denied, feared, asked or heard of."""
_MAX_WINDOWS = 40
"""Of the longest texts so many places are read; beyond them phrases stand unexamined."""
_MARK = re.compile(r"[，。！？；,.!?;…\s]")
_CUES = {
    "冒烟起火": (
        "烟 焦 糊 烧 着火 起火 冒火 火苗 火星 火花 火球 明火 蓝火 打火 喷火 窜火 串火 蹿火 着了 都着 自己着 点着 "
        "房子点了 灭火 扑灭 熔 融化 化了 化开 化掉 化下去 碳化 鼓包 鼓起 鼓了 鼓得 鼓成 鼓个 顶起 顶开 顶翘 撑开 撑裂 "
        "拱起 拱开 烫 热得 自燃 短路 熏黑 熏黄 胡味 胶味 塑料味 滋啦 嗞 噼 烤黄 插座~黑 插头~黑 插孔~黑 插口~黑 "
        "接口~黑 充电~黑 黑印 冒严 冒延 着伙 起伙 往外冒 火窜 火冒 白气 黑气 黄了一 窜上 窜起 窜到 窜来 燃了 家早没 "
        "家就点 都点了 炭印 黑斑 粘一起 粘一块 粘住了 有味 燎了 燎没 眉毛~没 消防 119来 119都 火扑 浇灭 着活 大火 "
        "冒白 冒黑 变形 塌 软了 胀 黑了"
    ),
    "触电": (
        "漏电 露电 楼电 陋电 漏店 露店 漏点 触电 被电 带电 带着电 有电 通着电 电人 电手 电到 电了 电我 电着 电麻 电倒 "
        "电击 电流 电得 电晕 电翻 电哭 电死 电打 电毁 走电 跑电 过电 电笔 绝缘 火线 零线 百多伏 十伏 来伏 万用表 麻手 "
        "手麻 麻了 麻人 发麻 麻得 麻一下 麻感 麻的 一麻 麻到 就麻 都麻 会麻 还麻 身麻 碰~麻 摸~麻 跳闸 跳电 漏保 酥 "
        "被点了 刺手 刺刺 刺痛 扎手 打手 打人 咬手 打着手 打了一下 打一下 抽了一下 抽一下 弹开 弹出去 弹起来 弹飞 "
        "缩回 汗毛 寒毛 蚂蚁爬 一扎 头发~竖 头发~立 打哆嗦 电黑 电一下 电木 电惨 击开 击了一下 胳膊抬不起 摸~电 碰~电 "
        "挨着电 针扎似 跟针扎 像针扎 被打 打得手 打得胳膊 把我打 把我手 碰不得 摸插座 空开~跳 空开~掉 心电图 手上麻 "
        "抖"
    ),
    "爆炸": (
        "炸 爆 崩 巨响 喷出 砰 嘭 轰 啪 咚 咣 嗵 散架 飞起来 飞出来 飞一 射出 弹出来 顶到天花板 喷了一脸 喷一脸 溅 "
        "飞到 冲出来 顶出 顶上 顶飞 飞了出 成渣 玻璃渣 渣子 渣渣 碎 裂"
    ),
    "受伤": (
        "伤 划 割 夹 砸 摔 扎 刺 血 缝 肿 水泡 起泡 全是泡 豁 剌 拉破 误食 误服 吞 咽 卡喉 卡住 反锁 关在 锁在 锁里 "
        "关里 出不来 一氧化碳 煤气 燃气 天然气 液化气 漏气 跑气 撞 咬 脱皮 一层皮 破皮 口子 滑倒 滑了 地滑 跌 绊 塌 "
        "倒下来 掉下 滚下 坐地上 起不来 动不了 卷进 卷住 绞 削 抢救 120 救护车 急诊 住院 车祸 交通事故 打了我 推倒 烫 "
        "红一片 椎 门牙 角膜 窒息 喘不 勒 石膏 狂犬 医药费 青了 青一 青紫 打到眼 弹出来 甩 翻出来 断裂 塞鼻 取不出 "
        "残了 把我打 打了老人 压紫 压断 压到 压着 压住 压倒 脸着地 栽 戳进 戳到 戳了 骨折 骨裂 骨头 股骨 肋骨 锁骨 "
        "钢钉 孩子~里面 娃~里面 老人~里面 孩子~屋里 娃~屋里 一个人在里 一个人~里头 弄烂 弄破 眼球 发炎 碾 浇到 浇在 "
        "浇孩子 崩出 崩进 崩到 缺口~嘴 拉了个 拉了道 拉个 拉出 闷在 吊在 卡在~楼 卡在~电梯 电梯~卡 指甲 孩子在里面 "
        "孩子一个人 娃在里面 老人在里面 断了 医院 头破"
    ),
    "食物中毒": (
        "拉肚 拉稀 拉西 拉水 拉血 拉绿 拉了 拉得 拉到 拉脱 都拉 全拉 直拉 开始拉 窜 泻 屙 厕所 马桶 腹痛 吐 呕 肠炎 "
        "胃 肚子 肠子 吃坏 吃怀 吃进 吃出 医务室 卫生院 诊所 急诊 住院 挂水 挂了 输液 点滴 吊针 吊瓶 盐水 打针 中毒 "
        "有毒 痢疾 沙门 诺如 细菌 不适 不舒服 头晕 心慌 发烧 起烧 三十九 脱水 虚脱 冷汗 虚汗 发抖 哆嗦 煞白 发紫 抽搐 "
        "嘴麻 舌头麻 发麻 中招 倒下 病倒 躺倒 躺了 划破 崩 硌 卡喉 戳 扎 老鼠 馊 没熟 幻觉 拉的 没劲 晕过去 晕倒 "
        "站不住 手脚冰凉 手抖 天旋地转 手麻 就医 食源性 副溶血 割破 没精神 全病 全倒 铁丝 刀片 钢丝 铁片 钢钉 玻璃渣 "
        "碎玻璃 鱼钩 硬物 抢救 恶心想 就恶心 全恶心 都恶心 一直恶心 难受一 看见小人 嘴~黑 喉咙卡 嗓子疼 嗓子烧 喉咙烧 "
        "变质~吃 过期~吃 蹲~卫生间 嘴木 舌头木 没煮熟 吃死 喝死 请假 病了 医院"
    ),
    "过敏": (
        "过敏 过明 国敏 脱敏 疹 痒 红点 红斑 疙瘩 风团 溃烂 烂了 烂掉 烂脸 毁容 水泡 皮炎 休克 荨麻 肿 脱皮 掉皮 蜕皮 "
        "褪皮 褪了 起皮 一层皮 皮都 黄水 发炎 结痂 呼吸困难 喉头 嗓子紧 气管 流鼻血 灼伤 睁不开 火辣 辣得 辣眼 刺得 "
        "一片红 红屁 红血丝 激素 头发~掉 一把一把 眼睛辣 甲醛 抗组胺 氯雷他定 扑尔敏 起了一身 长了一身 身上~包 一身包 "
        "全是包 抹~红 穿~红 戴~红 脖子~红 屁股~红 红一片 红一块 红一大 通红 烧得疼 烧伤 头发~断 眉毛~断 大把 一撮 "
        "一绺 胀成 胀得 脱发 脱屑 刺痛 畏光 嗓子疼 起癣 脸毁 破相 手烂 弄烂 大夫说 破皮 面红 头皮~疼 憋得 说不出话 "
        "荧光剂 铅汞 送医院 全是红包 脓 火烧 用着疼 皮红 脸红 身上红 手红 就红 都红 红得 腿红 脖子红 停用~就好 让停用 "
        "不良反应 红了 起泡 起包 长包 个包 痘 刺疼 咳 喘 毛囊炎 皮肤 睫毛"
    ),
    "盗刷": (
        "盗 倒刷 导刷 道刷 刷走 刷了 刷爆 刷光 刷掉 人刷 被刷 套走 套了 套现 套空 转走 转出 转给 转了 转光 转空 转个 "
        "划走 划了 提走 取走 取了 扣走 连着扣 掏 偷走 偷刷 卷走 搬空 没了 空了 光了 不见了 精光 余额零 里少 飞了 飞走 "
        "不翼而飞 不是我 不是本人 非本人 没操作 我没买 我没刷 我没花 我没付 我没用 没碰 没下过单 没按指纹 没输密码 "
        "本人操作 未授权 贷了 贷款 网贷 境外 异地 不知道谁 谁动 谁用 谁花 谁刷 莫名 无缘无故 平白无故 不明不白 人转 "
        "人取 人花 人兑 花光 兑走 兑换走 被转 冒我 我的名字 消失 不知去向 没影 一毛不剩 一分不剩 被消费 人消费 消费了 "
        "卡少了 余额少 钱少了 账户少了 突然少 少了~块 少了~百 少了~千 少了~万 没动 没用过 没消费 挂失 不是~买 不是~付 "
        "不是~弄 不是~操作 异常支付 在国外 我人在 人在家 用我~买 拿我~买 用我~卡 拿我~卡 用我~充 拿我~充 用我~钱 "
        "用我~贷 用我~名 用我~信息 人充 没出过 截了 换了收款 扫走 被扣 给扣 乱扣 自己扣 付款码被 收款码被 交易 没开过 "
        "没弄 压根没 我都没 被人 被划 被提 被取 被套 被搬 一笔一笔 几笔 多笔 数笔 陌生 不认识 小偷 取款 付款了 花掉 "
        "用掉 兑了 余额变"
    ),
    "账户被盗": (
        "盗 异地 换绑 被改 给改 改掉 改了密码 改了手机 改密 改成 人登 登我 登了我 登录的 被黑 人黑 黑了 黑走 入侵 "
        "被换 全变 都换 全换 挤下 踢下 顶下 挤掉 顶掉 踢出 顶了 我没换 我没登 我没改 我没去 没登过 被人用 在别人手 "
        "不归我 人偷 偷了 偷走 被端 洗光 卖光 搬空 篡改 不是我 密保 找回 安卓机 登录记录 登陆记录 设备列表 冒用 冒我 "
        "名义 到号 被到 道号 被导 我号 拿我~号 进我~号 拿了我~号 用了我~号 登录了我 登录我 登陆我 名字~变 资料~变 "
        "变成别人 成别人的 成了别人 抢走 顶走 挤走 撸走 撬了 洗走 解绑成功 注销成功 多了台 多了一台 多了个 有人进 "
        "有人上 人改 人换 人进去 进不去了 实名~换 实名~变 实名~别人 认证~别人 收货人~改 收款~改 地址~改 密码~改 "
        "手机号~变 邮箱~变 邮箱~换 邮箱~成 号丢 别人的号 外地登 密码也 密码都 密码被 密码突然 手机号也 手机号都 头像 "
        "昵称 陌生 不认识 尾号 解绑了 注销了 没授权 登陆过 登录过 上线过 拿去 拿来发 用我 改资料 改了资料 号没 "
        "异常登录 找不回 显示在~登 提示在~登 显示~地登 提示~地登 记录~登过"
    ),
    "诈骗": (
        "骗 诈 冒充 假冒 冒用 冒牌 假装 装成 名义 旗号 假客服 假官网 自称 验证码 共享 看着我屏幕 链接 网址 二维码 "
        "扫了 转账 转钱 转给 转了 转出 转过 转走 转到 套走 打款 打钱 打过去 打给 汇款 汇了 汇给 投了 安全账户 "
        "安全户头 对公 指定账户 监管账户 保障 保证金 解冻 定金 订金 网贷 贷款 借了 理赔 双倍赔 倒贴 百万 掏空 清零 "
        "上当 刷单 做任务 返利 兼职 加微信 加了微信 加QQ 加了QQ 没了 空了 人跑 拉黑 失联 跑路 洗脑 忽悠 知道我 "
        "我的订单 说得出 报得出 报出 说出我 一字不差 派出所 立案 报警 追不回 货到付款 弄走 会议软件 开会议 开了会议 "
        "提不出 拿不出 取不出 不给提 要先充 先交 先打 蒙走 诓 换脸 变声 照做 按他 听他 信了 打水漂 是客服 卡号 刮刮卡 "
        "假网站 山寨 垫付 垫进 垫的 垫了 付给 汇过 报案 套路贷 借走 念完 验资 银行说 货没来 没这单 杀猪盘 投资 炒币 "
        "念了 交了~千 交了~百 交了~万 他让我 填了身份证 被划 套光 先转 我转 没这人 查无 追回 拿不回 转他 付他 不见了 "
        "还给他 还回去 交税 缴税"
    ),
    "可疑来电": (
        "骗 诈 冒充 假冒 自称 电话说 短信说 短信里 称是 验证码 可疑 陌生 钓鱼 假短信 奇怪 怪怪 中奖 中了奖 来电 链接 "
        "网址 共享 开屏幕 保证金 理赔 退款专员 加微信 加我 加企业微信 加QQ 名义 旗号 金牌会员 代理商 百万保障 都知道 "
        "说对 报对 说出 报得出 报出 念出 一字不差 一清二楚 一模一样 00开头 没念 挂了 没弄 没转 没点 没上当 识破 "
        "冒你们 冒平台 仿冒 私人号 不对劲 订单~冻结 叫我填 让我填 让我念 叫我念 要我念 地址都 名字都 是你们的人 "
        "你们打的 身份证后四位 查了~没取消 没给他 没理他 没信他 我没理 我没信 说我~中 对方 那人 不是你们 订单异常 "
        "卡号"
    ),
    "隐私泄露": (
        "人家的 人家家 其他用户 其他客户 串了 窜了 串线 串号 错乱 外人 被人看 被看 偷看 偷拍 针孔 看见我 看得见 "
        "里有人 有人在 男的 自己转 黑客 入侵 被黑 黑进 原主人 前房客 前租客 泄露 挂网上 发到群 自己开 看到~家 看见~家 "
        "看到人家 串台 跳台 串到 里头有人 里面有人 传出 自己扭 没人动 盯着 人家~画面 画面~不是我 画面~串 多了~不是我 "
        "拍视频 被录像 人控制 还能看 还能连 还能打开 原来的主人 发到网 挂到网 发网上 贴在 自动开锁 自己打开 门自己 "
        "锁自己 半夜~开了 没人开 开门进 用指纹 连我家 登我家 看我家 能看到我 看到我家 另一个人 另外一个人 邻居~能 "
        "邻居~看 其他~订单 宝宝~说话 男人声音 人说话 女的说话 在说话 陌生 不认识 另一家 人进来 隐藏 直播 被拍 公开 "
        "前夫 别人"
    ),
}
"""Around what a longer text is read, and for which kinds the layer is believed below `UNPROMPTED`."""


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
    Longer texts are read only around cues. A text costs about 8 µs. It fails on dangers told over several turns, and on
    sentences whose words are all ordinary: 那个东西昨晚出事了.
    """

    def __init__(self, lexicon: Lexicon, layer: DangerLayer | None = None) -> None:
        self._lexicon = lexicon
        self._layer = load_layer() if layer is None else layer
        self._cues = Phrases(kinds_of_cues())
        labels = self._layer.linear.labels
        self._allowed = np.array([[label in some.split() for label in labels] for some in self._cues.values])
        """Which kinds each group of cues admits."""
        self._names = layer_names(self._layer, lexicon)
        self._named = np.array([bool(name) for name in self._names])
        self._families = frozenset(FAMILIES.values())

    def label(self, texts: Sequence[str]) -> list[str]:
        """Return the danger that each text asserts, `family/kind`, '' if none.

        What was only heard of is asserted by nobody, however it is put.

        >>> from models.lexicon import shipped_lexicon
        >>> DangerModel(shipped_lexicon()).label(["插头那里黑了一块还有味", "气得冒烟"])
        ['人身安全/冒烟起火', '']
        """
        asserted = self._asserted(texts)
        return ["" if name and only_heard(text) else name for text, name in zip(texts, asserted, strict=True)]

    def _asserted(self, texts: Sequence[str]) -> list[str]:
        readings = self._lexicon.danger_readings(texts)
        asserted = [name for name, _ in readings]
        if not self._named.any():
            return asserted
        windows, owners, admitted = self._suspicious(texts)
        if not windows:
            return asserted
        shares = shares_of(self._layer, windows)
        shares[:, ~self._named] = 0.0
        prompted = np.where(admitted, shares, 0.0)
        # What is surely a danger is one without a cue, too.
        unprompted = (shares.sum(axis=1) >= UNPROMPTED) & (prompted.sum(axis=1) < ASSERTED)
        shares = np.where(unprompted[:, None], shares, prompted)
        chances, best = shares.sum(axis=1), shares.argmax(axis=1)
        highest: dict[int, int] = {}
        for window, owner in enumerate(owners):
            if owner not in highest or chances[window] > chances[highest[owner]]:
                highest[owner] = window
        for owner, window in highest.items():
            chance, (phrase, denied) = float(chances[window]), readings[owner]
            if phrase and (phrase.partition("/")[0] not in self._families or owners.count(owner) >= _MAX_WINDOWS):
                continue
            name = self._names[best[window]]
            sure = ASSERTED_OF.get(name.partition("/")[2], ASSERTED)
            asserted[owner] = name if chance >= (NOT_EXCLUDED if phrase else DENIED if denied else sure) else ""
            if phrase and not asserted[owner] and len(texts[owner]) > WINDOW_CHARS:
                asserted[owner] = self._alone(windows[window], phrase)
        return asserted

    def _alone(self, text: str, phrase: str) -> str:
        """Return a danger that the words around it hide: one clause that surely asserts what a phrase named."""
        clauses = [clause for clause in _MARK.split(text) if len(clause) >= SHORTEST]
        if len(clauses) < 2:
            return ""
        sure = (shares_of(self._layer, clauses) * self._named).sum(axis=1).max() >= ALONE
        return phrase if sure else ""

    def _suspicious(self, texts: Sequence[str]) -> tuple[list[str], list[int], NDArray[np.bool_]]:
        """Return what the layer is to read, the number of the text that each piece is from, and the kinds it admits."""
        found = self._cues.find(texts)
        windows: list[str] = []
        owners: list[int] = []
        groups: list[list[int]] = []
        whole: dict[int, int] = {}
        for row, text in enumerate(texts):
            if SHORTEST <= len(text) <= WINDOW_CHARS:
                whole[row] = len(windows)
                windows.append(text)
                owners.append(row)
                groups.append([])
        last, until, read = -1, 0, 0
        for row, start, group in zip(found.rows.tolist(), found.starts.tolist(), found.values.tolist(), strict=True):
            if row in whole:
                groups[whole[row]].append(group)
                continue
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
            if some:
                admitted[number] = self._allowed[some].any(axis=0)
        return windows, owners, admitted


@cache
def kinds_of_cues() -> dict[str, str]:
    """Return cue → the kinds that it admits: its own, and those of every cue inside it, which it hides."""
    kinds: dict[str, set[str]] = {}
    for kind, cues in _CUES.items():
        for cue in cues.split():
            kinds.setdefault(cue, set()).add(kind)
    admitted: dict[str, str] = {}
    for cue in kinds:
        parts = {cue[start:end] for start in range(len(cue)) for end in range(start + 1, len(cue) + 1)}
        own = {kind for part in parts for kind in kinds.get(part, ())}
        admitted[cue] = " ".join(kind for kind in _CUES if kind in own)
    return admitted


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


def layer_names(layer: DangerLayer, lexicon: Lexicon) -> list[str]:
    """Name each kind of a layer, `family/kind`; '' for none, and where the taxonomy does not have the family."""
    known = {name.partition("/")[0] for name in lexicon.dangers}
    labels = layer.linear.labels
    return [f"{FAMILIES[label]}/{label}" if label and FAMILIES[label] in known else "" for label in labels]


def shares_of(layer: DangerLayer, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return how likely each text asserts each kind; shape (texts, kinds), rows of sum one."""
    logits = layer.linear.logits(danger_features(texts, layer.bits, layer.chars, layer.syllables))
    logits -= logits.max(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def load_layer(shipped: str = "danger.npz", path: Path | None = None) -> DangerLayer:
    """Read a layer.

    Parameters
    ----------
    shipped
        Name of one that is shipped.
    path
        A file written by `python -m models.danger_training` in its place.

    Raises
    ------
    ModelError
        If the file is missing, damaged or of another format.
    """
    return read_archive(path, shipped, f"the shipped {shipped}", "python -m models.danger_training", _read)


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
