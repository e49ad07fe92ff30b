"""How anybody talks: greetings, fillers, vague complaints, bots and agents, registers, typos and speech recognition."""

from __future__ import annotations

from random import Random

from flows.sources.world.catalog import DEVICE_PRODUCTS
from flows.sources.world.grammar import Grammar, Template, phrases
from flows.sources.world.people import new_name, new_phone

DIGITS_SPOKEN = "零幺二三四五六七八九"
STREETS = ("建设路", "人民中路", "滨江大道", "翠竹街", "学院南路", "金桂巷", "东湖路", "和平里", "望江西路", "青年大街")
ESTATES = ("阳光花园", "翠湖苑", "锦绣城", "金地名都", "柳岸新村", "观澜府", "星河湾", "凤凰里")
ORDINARY_CODES = tuple(code.code for product in DEVICE_PRODUCTS for code in product.codes)


def _order(rng: Random) -> str:
    return f"{rng.choice(('QF', 'YF', 'XL', ''))}{rng.randrange(10**13, 10**14)}"


def _address(rng: Random) -> str:
    street = STREETS[int(rng.random() * len(STREETS))]
    estate = ESTATES[int(rng.random() * len(ESTATES))]
    return f"{street}{rng.randint(1, 299)}号{estate}{rng.randint(1, 28)}栋{rng.randint(1, 33)}0{rng.randint(1, 6)}"


def _amount(rng: Random) -> str:
    u = rng.random()
    if u < 0.3:
        return f"{rng.randint(1, 40) * 10}"
    return f"{rng.randint(5, 400)}" if u < 0.7 else f"{rng.randint(5, 400)}.{rng.randint(1, 9)}"


def _card(rng: Random) -> str:
    """Invent a card number that passes the Luhn check, of a range that no bank issues."""
    body = f"62000000{rng.randrange(10**7):07d}"
    total = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(body))
    return f"{body}{-total % 10}"


def _idcard(rng: Random) -> str:
    """Invent an identity number that passes its checksum, of somebody born too long ago to be alive."""
    place = rng.choice(("110101", "310101"))
    body = f"{place}190{rng.randint(0, 3)}{rng.randint(1, 12):02d}{rng.randint(1, 28):02d}{rng.randrange(1000):03d}"
    total = sum(int(digit) * (2 ** (17 - at) % 11) for at, digit in enumerate(body))
    return body + "10X98765432"[total % 11]


def _email(rng: Random) -> str:
    name = rng.choice(("lm", "happy", "zq", "sunny", "w"))
    return f"{name}{rng.randint(100, 99999)}@{rng.choice(('qmail', 'ymail', 'post'))}.example"


MAKERS = {
    "phone": new_phone,
    "fullname": new_name,
    "order": _order,
    "addr": _address,
    "amount": _amount,
    "n": lambda rng: str(rng.randint(2, 4000)),
    "d": lambda rng: str(rng.randint(1, 9)),
    "db": lambda rng: str(rng.randint(28, 88)),
    "pct": lambda rng: str(rng.randint(9, 99)),
    "ms": lambda rng: str(rng.randint(120, 9000)),
    "clock": lambda rng: f"{rng.randint(6, 23)}点{rng.choice(('', '半', '多', '一刻', '十分'))}",
    "days": lambda rng: rng.choice(("两", "三", "四", "五", "六", "好几")),
    "email": _email,
    "code": lambda rng: rng.choice(ORDINARY_CODES),
    "outlet": lambda rng: rng.choice(("公众号", "热线电话", "app里的在线客服", "网页客服", "小程序")),
    "card": _card,
    "idcard": _idcard,
    "landline": lambda rng: f"{rng.choice(('010', '021', '0571', '0755', '028'))}-8{rng.randrange(10**7):07d}",
}

RULES: dict[str, tuple[Template, ...]] = {
    "when": phrases("""
        [刚刚|刚才|就刚才]
        今天[早上|上午|中午|下午|晚上|一大早|]
        昨[天|晚|天晚上|天下午]
        从[昨天|早上|中午|前天|{clock}]开始
        {clock}[左右|那会儿|的时候]
        [这两天|这几天|最近]
        上[周|周末|个月]
    """),
    "title": phrases("""
        先生
        女士
    """),
    "who": phrases("""
        我
        我[妈|爸|老婆|老公|婆婆|爷爷|姐|儿子|同事|室友|邻居]
        我们[家|全家|公司|店里|宿舍]
        家里[老人|小孩]
    """),
    "tail": phrases("""
        ，[怎么办|怎么弄|怎么处理|咋办|该咋整]
        ，[帮我看看|麻烦看一下|给查查|处理一下]
        ，[很急|在线等|急用|挺急的]
        ，[你们管不管|给个说法|总得有个解释]
        ，[谢谢|麻烦了|辛苦]
        [啊|呀|呢|了都|]
        []
        []
        []
    """),
}

VAGUE = phrases("""
    怎么又这样[了|啊|，服了|]
    [又|怎么又|咋又]来了[，没完了是吧|]
    打不开
    [还是|一直|就是][不行|没好|那样|不能用]
    你们[搞什么|在干嘛|能不能行|是不是又出问题了|这水平]
    [什么情况|啥情况|怎么回事|咋回事][啊|呀|呢|？|]
    用不了[了|，急|，啥也干不了|]
    [没反应|点了没反应|怎么弄都没反应]
    {when}[就不对劲|就不行了|出问题了|还好好的]
    [有人吗|人呢|有没有人管|人工|转人工|人工客服]
    [到底|究竟][修不修|管不管|能不能弄好|什么时候能好]
    [坏了|出毛病了|又出毛病|又坏]
    {when}[明明还|都还][好好的|正常|能用]，[现在|这会儿|突然][不行了|就这样了|歇菜了]
    [别人|邻居|同事|我朋友][家|]也[这样|一样|遇到了]，[你们知道吗|是不是你们那边的事|]
    [真|太|也太][无语|坑|离谱|气人]了[，第{d}次了|，不想再说一遍|]
    不知道[怎么搞的|为什么|咋了]，反正[不行|用不了|不对]
    等了[半天|一上午|好久|半个多小时]了[都|]，[急死|没人理|什么意思|到底怎么弄]
    [能|麻烦][帮忙|给]看[下|看|一下]我这[边|个]是[怎么了|什么问题|不是有问题]
    {product}[有问题|出问题了|不对劲|怎么搞的|不行了]
    我的{product}[咋了|怎么了|好像不太对|有点问题]
    [弄了|折腾了][一早上|半天|一个小时][都|也|还是]不行
    [退|不要了|算了退了吧|我要投诉]
    [截图|图片|视频]发你[了|们了][你看|自己看|看看这是啥|]
    {who}[急着用|等着用|要出门]，[你们这样|现在这样][耽误事|怎么搞|我怎么办]
    [麻烦|请]尽快[处理|解决|给个答复][，谢谢|]
""")

GREETINGS = phrases("""
    在吗
    你好
    您好[，有个事|，咨询一下|，请问|]
    [hi|hello|哈喽|喂]
    [人工|转人工|人工服务|要人工|找人工]
    [你好|您好]，[我想问|问一下|咨询下|有个问题]{product}的事
    [你好|在吗]，我[姓{surname}|是{fullname}|{phone}]
    {product}[有问题找谁|的事问一下|谁负责]
    [有人吗|有人在吗|客服在不在]
    [早上好|下午好|晚上好]
    [亲|亲在吗|老师好]
""")

DETAIL = phrases("""
    {when}[开始的|就这样了|发现的|到现在]
    [换了|借了][手机|别人的手机|电脑][试|弄]，[一样|也不行|还是老样子]
    [家里|办公室|店里]{d}个人都[试过|看过]了[，都说不对|]
    [昨天|前天|上周]还[好好的|没事|正常]
    {who}[急得不行|都着急了|说要投诉|让我问问]
    [我人在|现在在|住]{city}[，离得远|，回不去|]
    [之前|去年|上个月]也[有过|碰到过]一[次|回][，后来自己好了|，你们说修好了|]
    [重启|重装|退出重进]了{d}[遍|次][，没变化|，白搭|都没用|]
    [花了|交了]{amount}[块|元][呢|买的|就这质量|]
    [天气|外面][这么冷|这么热|下着雨]，[真耽误事|没法弄]
    [孩子|老人|客人]还在[等|家里等着]
    [前后|总共]等了{d}[个小时|个多钟头|十分钟]
    [打了|打过]{d}[次|个]电话[没人接|都占线|说法都不一样]
    [朋友圈|群里|邻居群]也有人[说|在问|遇到]
    [不是第一次|第{d}次]了[，能不能彻底解决|，真的很烦|]
    [上班|下午|晚上]{clock}[还要用|要出门|有人来]
    [麻烦|希望|最好][今天|尽快|马上][给个|有个][答复|结果|准信]
    [说明|提示|网上]说的[我都照做了|没用|看不懂]
    [具体|其他]我也[说不清|不懂]，[反正就这样|你们自己查|你看着办]
    [单号|订单]{order}
    [登记的|留的]{phone}
    [错误|报错|截图]我[存着|拍了|可以发你]
    [我是|算]你们[老用户|{d}年的会员][了|，别敷衍|]
    [以前|别家][从来|都]没[这样|出过这事]
    [就|才][用了|买了|过了]{days}天
    [一开始|起先][没在意|以为是我的问题]，[后来|结果][越来越|一直]这样
""")

EMOTICONS = ("😡", "🙏", "😭", "[抓狂]", "[流泪]", "[裂开]", "😅", "~", "。。。", "[微笑]", "orz", "hhh", "。")

THANKS = phrases("""
    [好的|行|嗯|好|ok|可以]，[那|我|你们][{when}再来问|先这样弄|等到{clock}|再等{d}天][吧|哈|看|]
    [知道|明白]了，[我{clock}再看看|让{who}试试|弄好了跟你说|不行再找你]
    [好的|行|嗯|好|ok|可以][，谢谢|谢谢|，麻烦了|，那我等等|，知道了|]
    [谢谢|多谢|感谢|辛苦了|谢了]
    [那就这样|没别的了|没事了][，谢谢|]
    [行吧|好吧|那算了|只能这样了]
    [等你消息|尽快吧|那快点|等你们电话]
    [收到|明白|了解|知道了]
""")

FOLLOW = phrases("""
    [订单号|单号][是|]{order}
    [电话|手机号|联系][是|]{phone}[，姓{surname}|]
    [我叫|名字|联系人]{fullname}[，电话{phone}|]
    [地址|住址][是|]{city}{addr}
    [我在|人在]{city}
    [多久|什么时候|啥时候|几点][能好|能处理|有结果|可以回复我][？|]
    [上次|之前][也|就][这样|打过电话|反映过][，说给处理|，没人管|]
    [已经|都][试过了|重启过了|弄过了|按你说的做了][，没用|，一样|，还是那样|]
    [嗯|对|是的|没错|对的]
    [不是|不对]，[我说的不是这个|你没明白我意思|不是这个问题]
    [能不能|可不可以][快点|优先处理一下|派人来|打电话给我]
    [说了|讲了]多少遍了[，还要问|]
    [就是|对，]{product}[那个|的事|]
    [我|]{when}[才买的|刚用上|装的|下的单]
    [邮箱|发到]{email}[吧|]
    [身份证|证件号][是|]{idcard}[，{fullname}|]
    [打|回]座机{landline}[也行|，白天有人|]
    [退到|打到|卡号]{card}[这张卡|，{fullname}|]
    [一共|总共|花了]{amount}[块|元|]
    [那|这][要是|如果]解决不了[怎么办|我就退了|我找谁]
    [型号|是]{model}[的|那款|]
""")

BOT = phrases("""
    您好，我是[前哨小助手|智能助理小岗]，请[简单描述|一句话说明]您的问题，或回复数字：1查进度 2退换 3发票 4人工
    [抱歉|不好意思]，小岗没太[听懂|明白]，您可以换个说法，或回复“人工”
    [正在|这就]为您[查询|转接]，当前排队[{d}|1{d}]位
    您是不是想问：[如何申请发票|怎么改地址|怎么退款|如何联网|怎么查订单]
    [为了更好地服务您|请问]，您咨询的是哪一[单|款产品]呢？
    [小岗|小助手]已[记录|收到]，[稍后|马上]有专人[联系|为您处理]
""")

AGENT_OPEN = phrases("""
    您好，[工号{agent}|客服{agent}|我是客服小{surname}]，[请问有什么可以帮您|很高兴为您服务|请问您遇到了什么情况]
    您好，[您的问题我看到了|已经看到您的留言]，[请稍等|我先核实一下|这边帮您查]
    [亲|您好]，久等了，[请讲|请问是哪方面的问题|麻烦说下具体情况]
""")
AGENT_TALK = phrases("""
    您[是说|反映的是|想问]{product}[的问题|这边的情况|]，[对吗|是这样吗|我理解的对吧]
    [{fullname}|{surname}]{title}，[这边核实到|系统显示][您的信息无误|有一条记录|暂无异常]
    [麻烦|请]提供[一下|][订单号|手机号|设备编号|下单手机号][可以吗|，我这边核实|]
    [非常|实在|]抱歉给您[添麻烦了|带来不便|造成困扰]，[我马上反馈|这边登记一下|我们会尽快核实]
    [已经|这边已|我已]为您[登记|提交|反馈][了|给技术同事|到后台|相关部门]，[请留意|请保持]电话
    [请问|想确认下][是什么时候开始的|有没有报错提示|您现在在哪个页面|之前有没有类似情况]
    [建议|您可以|麻烦您][先|]重启[一下|试试|后再看]
    [预计|一般|大概][1到3个工作日|24小时内|今天下班前|两小时内][会有结果|给您回复|处理完]
    [理解|明白]您的心情，[我这边|我们][会|一定]尽力[帮您|跟进|催办]
    [您稍等|请别挂断|稍等片刻]，[我查一下|正在查询|系统有点慢]
    这边[看到|查到]您[的信息了|的记录了|名下有一笔订单]
    [好的|嗯嗯|明白了]，[我记一下|已备注|我核对下]
""")
AGENT_CLOSE = phrases("""
    [感谢|谢谢]您的[来电|咨询|反馈|耐心]，[祝您生活愉快|再见|有问题随时联系]
    [还有|请问还有]其他[可以帮您|需要协助]的吗
    稍后[请|麻烦]对[本次服务|我的服务]做个评价，[谢谢|感谢支持]
""")

POLITE = ("您好，", "麻烦问下，", "请问，", "打扰了，", "不好意思，", "你好，想反映个情况，", "老师您好，")
ANGRY = (
    "！！！",
    "，垃圾",
    "，气死我了",
    "，投诉你们！",
    "，还想不想干了",
    "？？？",
    "，真服了",
    "，退钱！",
    "，我要找12315",
)
DIALECT = ("嘞", "撒", "咯", "噻", "嘛", "哈", "咧", "伐", "啵")
STORY = phrases("""
    事情是这样的，
    我跟你说啊，{when}{who}[正要出门|正做饭|在外面上班|刚回到家|准备睡觉]，
    本来不想麻烦你们，[但是|可是|实在没办法]，
    我是你们[老用户|老顾客|{d}年的会员]了，[一直挺信任|平时都没问题|从来没投诉过]，
    [前前后后|来来回回]找了你们[{d}次|好几回]了，
    {who}年纪大不太会弄，让我来问，
    先说一下，我[人在外地|现在不在家|在{city}]，
""")

TYPOS = (
    ("登录", "登陆"),
    ("账号", "帐号"),
    ("的", "得"),
    ("在", "再"),
    ("了", "啦"),
    ("吗", "嘛"),
    ("怎么", "咋"),
    ("什么", "神马"),
    ("没有", "木有"),
    ("收到", "受到"),
    ("退款", "腿款"),
    ("发票", "发飘"),
    ("客服", "克服"),
    ("密码", "密吗"),
    ("一直", "一只"),
    ("已经", "以经"),
    ("还是", "还事"),
    ("快递", "快第"),
    ("联网", "连网"),
    ("是不是", "是不"),
    ("这个", "这各"),
    ("钱", "前"),
)
HOMOPHONES = (
    ("门锁", "门所"),
    ("指纹", "指文"),
    ("离线", "力线"),
    ("退款", "推款"),
    ("发票", "发漂"),
    ("订单", "定单"),
    ("扣", "口"),
    ("水果", "水国"),
    ("送", "宋"),
    ("酒店", "九点"),
    ("机票", "鸡票"),
    ("会员", "汇源"),
    ("验证码", "验证吗"),
    ("摄像", "射像"),
    ("连不上", "连部上"),
    ("充值", "冲值"),
    ("客服", "可否"),
    ("固件", "故件"),
    ("热水器", "热水其"),
    ("冒烟", "毛烟"),
    ("登录", "灯录"),
    ("支付", "只付"),
    ("预订", "预定"),
    ("电", "店"),
    ("钱", "前"),
    ("重启", "重起"),
    ("优惠", "幽会"),
    ("已经", "一经"),
    ("地址", "地只"),
    ("没", "每"),
)
FILLERS = ("呃", "那个", "嗯", "就是说", "然后", "啊", "这个", "对吧", "就是", "哎")
PUNCTUATION = str.maketrans("", "", "，。！？、；：,.!?“”…~ ")
SPOKEN = str.maketrans("0123456789", DIGITS_SPOKEN)
TRADITIONAL = str.maketrans(
    "这个们么来说时为会过还没对问题机东买卖电话单发开关门锁网络连线断应该请谢务员费钱账号码验证订货送错烂坏换给让听见现长车票证实际处区后",
    "這個們麼來說時為會過還沒對問題機東買賣電話單發開關門鎖網絡連線斷應該請謝務員費錢賬號碼驗證訂貨送錯爛壞換給讓聽見現長車票證實際處區後",
)

GRAMMAR = Grammar(RULES, MAKERS)


def write_like_a_customer(rng: Random, text: str, *, traditional: bool, typed: bool) -> str:
    """Give a message a register: polite, angry, terse, dialect-ish, with typos, wordy; about half stay plain."""
    u = rng.random()
    if u < 0.1 and len(text) > 4:
        text = POLITE[int(rng.random() * len(POLITE))] + text
    elif u < 0.2:
        text = text.rstrip("？。") + ANGRY[int(rng.random() * len(ANGRY))]
    elif u < 0.3:
        text = text.translate(PUNCTUATION)
    elif u < 0.33:
        text = text.rstrip("？。！") + DIALECT[int(rng.random() * len(DIALECT))]
    elif u < 0.42:
        text = GRAMMAR.say(rng, STORY[int(rng.random() * len(STORY))], {"city": "外地"}) + text
    elif u < 0.46 and typed:
        text = text.replace("，", " ") + "[图片]"
    if not typed:
        return text
    if rng.random() < 0.06:
        text += EMOTICONS[int(rng.random() * len(EMOTICONS))]
    u = rng.random()
    if u < 0.1:
        wrong, right = TYPOS[int(rng.random() * len(TYPOS))]
        text = text.replace(wrong, right, 1)
    elif u < 0.13 and len(text) > 6:
        at = int(rng.random() * (len(text) - 2))
        text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    elif u < 0.15 and len(text) > 6:
        at = int(rng.random() * len(text))
        text = text[:at] + text[at + 1 :]
    return text.translate(TRADITIONAL) if traditional else text


def recognise_speech(rng: Random, text: str) -> tuple[str, float]:
    """Turn a sentence into what a recogniser makes of it: no punctuation, fillers, homophones, spoken digits.

    Returns
    -------
    tuple
        The segment and its confidence; the more was damaged, the lower.
    """
    text = text.translate(PUNCTUATION).translate(SPOKEN)
    confidence = 0.97
    for _ in range(2):
        if rng.random() < 0.35:
            at = int(rng.random() * (len(text) + 1))
            text = text[:at] + FILLERS[int(rng.random() * len(FILLERS))] + text[at:]
            confidence -= 0.02
    if rng.random() < 0.3:
        offset = int(rng.random() * len(HOMOPHONES))
        for step in range(len(HOMOPHONES)):
            right, wrong = HOMOPHONES[(offset + step) % len(HOMOPHONES)]
            if right in text:
                text = text.replace(right, wrong, 1)
                confidence -= 0.06
                break
    if rng.random() < 0.12 and len(text) > 5:
        at = int(rng.random() * len(text))
        text = text[:at] + text[at + 1 :]
        confidence -= 0.05
    return text, round(max(0.4, confidence - rng.random() * 0.12), 2)
