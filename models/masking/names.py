"""Names of persons: after a cue, before a title."""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.masking.kinds import HAN, NAME, Span

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭"
    "陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤温康施牛樊葛邢安齐易乔伍庞"
    "颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧阳管柴常阎傅尤卫华褚戚喻柏窦"
)
_RARE = (
    "水云奚郎昌凤花费廉岑乐时皮卞元卜平和穆萧湛祁禹狄米贝明臧计伏谈茅屈项席麻强娄危虞支昝经房裘缪干宗宣贲郁杭洪诸吉"
    "钮嵇滑荣荀羊惠甄家封芮储汲邴糜松井富巫乌巴弓牧隗山车宓蓬全郗班仰秋仲伊宫仇栾暴钭厉戎祖束幸司韶郜蓟薄印宿怀蒲邰"
    "从鄂索咸籍赖卓蔺屠蒙池阴胥能苍双闻党贡劳逄姬扶堵宰郦雍却璩桑桂濮寿通边扈燕冀浦农别晏瞿充慕连茹习宦艾鱼容古慎戈"
    "庾终暨居衡步都满弘匡国文寇广禄阙东殳沃利蔚越夔隆师巩厍晁勾敖融冷訾阚那简饶空毋沙乜养鞠须丰巢蒯相查后荆红竺权逯"
    "盖益桓公岩仝佟苟肇揭原仉督展佘鹿幺练战冒尧召巨缑仁宝伦朴"
)
COMPOUND = (
    "欧阳|上官|司马|诸葛|皇甫|司徒|夏侯|尉迟|东方|慕容|令狐|端木|轩辕|宇文|长孙|司空"
    "|公孙|百里|南宫|西门|独孤|呼延|澹台|闻人|钟离|赫连"
)
_GIVEN_STOP = "我你的是要在电想说有来问买刚把被和跟不没给去打看就也都，。！？,.!?"
FULL_NAME = (
    rf"(?!谢谢|向前|万能|高级|华[东西南北中])(?:(?:{COMPOUND})|[{SURNAMES}])[{HAN}](?:(?![{_GIVEN_STOP}])[{HAN}])?"
)
_ANY_NAME = (
    rf"[{HAN}]{{1,8}}(?:·[{HAN}]{{1,8}}){{1,3}}"
    rf"|(?:(?:{COMPOUND})[{HAN}]|[{SURNAMES}{_RARE}][{HAN}])(?:(?![{_GIVEN_STOP}])[{HAN}])?"
    r"|[A-Z][A-Za-z.'\-]{1,20}(?: [A-Z][A-Za-z.'\-]{0,20}){0,2}"
)
_SELF = re.compile(rf"(?:我叫|我的名字|名字叫|叫做)(?:是|叫|为|[:： ]){{0,3}}(?P<name>{FULL_NAME})")
_FIELD = re.compile(
    r"(?:姓名|收件人|收货人|联系人|签收人|户名|开户人|机主|持卡人|入住人|乘机人|乘客|寄件人|取件人|车主|户主|申请人|投保人)"
    rf"(?:姓名|名字|名称)?(?:是|叫|为|[:： ]){{1,3}}(?P<name>{_ANY_NAME})"
)
_FIELD_BARE = re.compile(
    rf"(?:姓名|收件人|收货人|联系人|户名|机主|持卡人|入住人|乘机人|乘客)(?:姓名)?(?P<name>{FULL_NAME})"
)
_SURNAME = re.compile(
    rf"(?:我姓|免贵姓|本人姓|贵姓|鄙姓)(?:是|[:： ])?(?P<name>{COMPOUND}|[{SURNAMES}{_RARE}])(?![{HAN}]?名)"
)
_TITLED = re.compile(
    rf"(?<![{HAN}])(?P<name>(?!谢谢|向前|万能|高级)(?:{COMPOUND}|[{SURNAMES}])(?:(?![的是了我你也都就和跟不])[{HAN}]){{1,2}})"
    r"(?=先生|女士|小姐|同学)"
)
_ALONE = re.compile(rf"(?<![{HAN}〔〕A-Za-z0-9])(?P<name>{FULL_NAME})(?![{HAN}〔〕])")
_SPOKEN_OF = re.compile(
    rf"(?:客户|用户|顾客|会员|业主|车主|机主|租户|本人|经理|师傅|我是|找|替|帮|由|跟|叫|转)(?P<name>{FULL_NAME})"
    rf"|(?<![{HAN}])(?P<owner>{FULL_NAME})(?=的|说|要|想|来电|投诉|反映|反馈|咨询|报修|女儿|妈|爸|家)"
)
_TITLES = ("先生", "女士", "小姐", "同学")
_CUES = (
    "叫",
    "姓",
    "名字",
    "户名",
    "户主",
    "机主",
    "车主",
    "乘客",
    *(f"{role}人" for role in "件货系签收机户车主卡住请保"),
)
# Every alternative begins with a letter, so that the search runs from one possible first letter to the next.
_GATE = re.compile("|".join((*_TITLES, *_CUES)))
_RULES = (_SELF, _FIELD, _FIELD_BARE, _SURNAME)


def names(text: str) -> Iterator[Span]:
    """Find names of persons that a cue or a title gives away; the spans may overlap, the first rule comes first.

    A name that nothing announces is not found: too many words begin with a surname.
    """
    if _GATE.search(text) is not None:
        for rule in _RULES:
            for found in rule.finditer(text):
                yield (*found.span("name"), NAME)
        if any(title in text for title in _TITLES):
            for found in _TITLED.finditer(text):
                yield (*found.span("name"), NAME)


def bare_names(text: str) -> Iterator[Span]:
    """Find what may be a name although nothing announces it: for records that nobody can trust.

    It errs towards masking: short words that begin with a surname go as well (成功, 高兴), where they stand alone.
    """
    for found in _ALONE.finditer(text):
        yield (*found.span("name"), NAME)
    for found in _SPOKEN_OF.finditer(text):
        yield (*found.span(found.lastgroup or 0), NAME)
