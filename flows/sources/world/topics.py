"""What people contact the centre about on an ordinary day, with the words of customers and of agents' notes."""

from __future__ import annotations

from dataclasses import dataclass

from flows.sources.world.catalog import DEVICE_PRODUCTS, FRESH, LINE_PRODUCTS, PAY, TRAVEL
from flows.sources.world.grammar import Template, phrases

CATCH_ALL = "咨询"
"""The label that agents choose when they do not want to choose."""

CARELESS_LABELS: tuple[str, ...] = (
    CATCH_ALL,
    "其他问题",
    "配送时效",
    "退款进度",
    "质量投诉",
    "开票",
    "活动优惠",
    "账户登录",
    "付款扣费",
    "设备离线",
    "设备异常",
    "安装使用",
    "预订变更",
    "态度投诉",
)
"""What a hurried agent may choose wrongly; nobody chooses safety by mistake."""


@dataclass(frozen=True)
class Topic:
    """One thing that people talk about."""

    name: str
    weight: float
    """Share among the topics that fit a product."""
    label: str
    """The ticket type that a careful agent chooses."""
    says: tuple[Template, ...]
    """What customers say."""
    notes: tuple[Template, ...]
    """What agents write into tickets."""
    products: tuple[str, ...] = ()
    """Names of products it fits; empty = all."""
    mood: float = 3.6
    """Mean rating afterwards."""


def _line(*lines: str) -> tuple[str, ...]:
    return tuple(product.name for line in lines for product in LINE_PRODUCTS[line])


_SMART = tuple(product.name for product in DEVICE_PRODUCTS if product.models)

TOPICS: tuple[Topic, ...] = (
    Topic(
        "progress",
        1.6,
        "配送时效",
        phrases("""
            [我的|]{product}[到哪了|发货了吗|什么时候到|还要多久][？|]{tail}
            [查一下|帮查下|看看]单号{order}[到哪了|走到哪一步了|怎么还没动静]
            {when}[下的单|买的]，[怎么还没|到现在没]发货{tail}
            [骑手|快递员|小哥][电话多少|到哪了|怎么联系]
            能[不能|]改[配送|送货]时间，[我{clock}才在家|晚点送|明天送]
            地址[写错了|要改]，改成{city}{addr}{tail}
            [放|送]到[门卫|快递柜|驿站]就行，[不用打电话|我不在家]
            订单{order}[显示已签收|说送到了]，[放哪了|我没看到|是放门口了吗]
            [今天|明天][还送|配送]吗，[下雨|天气不好|放假]会不会[停|晚]
        """),
        phrases("""
            客户[查询|询问]{product}[物流|配送]进度，已告知
            [催单|催配送]，订单{order}，已联系[站点|骑手|仓库]
            修改[配送时间|收货地址]，已[处理|备注]
            核实签收情况，[已联系快递|待网点回复]
        """),
        (*_line(FRESH), "智能门锁", "家用摄像机", "扫地机器人", "运动手表"),
        3.7,
    ),
    Topic(
        "howto",
        1.5,
        "安装使用",
        phrases("""
            {product}怎么[联网|配网|绑定|连手机|添加到app]{tail}
            [怎么|如何][给|把]{product}[恢复出厂|重置|解绑|换个主人]
            {product}[的|]说明书[在哪|丢了，有电子版吗|看不懂]
            {product}[支持|能不能连|可以用]5G[的|]WiFi吗
            [请问|]{model}和[别的款|老款|另一款][有什么区别|哪个好|能通用吗]
            [怎么|在哪]给[家人|租客|老人]加个[密码|指纹|账号]{tail}
            {product}[电池|滤芯|配件|充电器]在哪[买|换][，型号是啥|]
            [换了路由器|搬了家|换手机了]，{product}要[怎么弄|重新连吗|重新绑吗]
            {product}[提示音|语音|灯]怎么[关|调小|调]
            [能|可以][预约|约]师傅[上门|来装]吗，[周末行吗|{city}的|要收费吗]
            [装|安装]{product}要[打孔|换锁体|多大空间|接地线]吗
        """),
        phrases("""
            [指导|已指导]客户[联网|配网|绑定|重置]{product}，[正常|已会使用]
            咨询{product}[功能|使用方法|规格]，已解答
            预约[安装|上门]，[已派单|待确认时间]
        """),
        _SMART,
        4.2,
    ),
    Topic(
        "single_fault",
        0.9,
        "设备异常",
        phrases("""
            {product}[时好时坏|偶尔失灵|反应慢|声音很大|有异响]{tail}
            {product}[按键|屏幕|外壳|盖子][不灵|裂了|松了|掉了]
            {product}[没电很快|电池不耐用|充不进电|充不满]
            {product}[才用了|用了][{d}个月|半年|两年]就[坏了|不好使了|这样]
            {product}[进水|摔|磕]了[一下|]，[能修吗|还能保修吗|修一下多少钱]
            {product}一直[滴滴响|闪红灯|报警|提示低电量]{tail}
            [保修|质保][多久|几年|过了怎么办|怎么算]
        """),
        phrases("""
            {product}[单机|个别]故障，[已报修|安排寄修|建议换新]
            客户反馈{product}[异响|按键不灵|电池问题]，[登记|已派单]
            咨询保修政策，已告知
        """),
        _SMART,
        3.1,
    ),
    Topic(
        "refund",
        1.1,
        "退款进度",
        phrases("""
            [我的|]退款[多久到账|什么时候到|到哪了|是退到原卡吗]{tail}
            [想|要]退[货|掉|了]，[七天无理由|不喜欢|买多了|拍错了][可以吗|怎么操作|]
            [退货|换货]运费[谁出|怎么算|有运费险吗]
            {when}[申请的退款|退的货]，[还没审核|显示处理中|让我填单号]
            [换|能换]个[颜色|大小|型号|新的]吗{tail}
            订单{order}[取消|不要]了，[钱|款]怎么退
            退款{amount}[对不对|少了一点吧|怎么不是全款]
        """),
        phrases("""
            咨询退款[时效|进度]，已告知[1-3|3-7]个工作日
            客户申请[退货|换货|取消订单]，[已受理|已提交]
            核对退款金额{amount}元，[无误|已解释]
        """),
        (),
        3.4,
    ),
    Topic(
        "invoice",
        0.5,
        "开票",
        phrases("""
            [怎么|在哪][开|申请|下载]发票{tail}
            [能|可以]开[公司抬头|专票|增值税票|纸质发票]吗
            发票[抬头|税号|邮箱]填错了[，能改吗|，重开一张|]
            发票[什么时候|多久]能[开出来|到邮箱]，[发到{email}|邮箱{email}|]
            [报销|对账]要用，[开个票|把{when}的票开给我]
        """),
        phrases("""
            [咨询|申请]开票，已[告知流程|发送链接|提交]
            修改发票抬头，[已处理|待财务]
        """),
        (),
        3.8,
    ),
    Topic(
        "offers",
        0.8,
        "活动优惠",
        phrases("""
            [优惠券|红包|满减][怎么用|用不了吗|在哪领|还能叠加吗]
            [有|还有][什么|啥]活动[吗|没|啊]，[便宜点|优惠多少|新人有吗]
            [刚买|{when}买的]就降价了，[能退差价吗|差价补不补|价保怎么申请]
            [积分|会员|金币][怎么换|能抵钱吗|要过期了吧]
            [满{amount}减{d}0|券][是今天|到几号|限不限品类]
        """),
        phrases("""
            咨询[优惠券|活动|积分]规则，已解答
            申请价保，[差额{amount}元|已登记]
        """),
        (),
        3.8,
    ),
    Topic(
        "account",
        0.5,
        "账户登录",
        phrases("""
            [手机号换了|换了号码]，[账号|登录]怎么[改|办]，新号{phone}
            [密码忘了|忘记密码]，[怎么找回|重置不了|收不到邮件]
            [怎么|想][注销|合并|解绑]账号{tail}
            [登录|进]的时候要[人脸|验证]，[能不能不要|总是识别不了|老人不会]
            [实名|身份证][认证|信息]填错了[，能改不|]
            [账号|我的号]在别的[手机|地方]登录过[，是被盗了吗|，怎么退出|]
        """),
        phrases("""
            协助客户[找回密码|换绑手机|修改实名]，[已完成|待审核]
            账号咨询，已解答
        """),
        (),
        3.6,
    ),
    Topic(
        "paying",
        0.8,
        "付款扣费",
        phrases("""
            [自动续费|免密|连续包月]怎么[关|取消|关掉]{tail}
            [这笔|{when}那笔]{amount}[是什么钱|扣的啥|怎么来的]
            [绑|换]银行卡[绑不上|要什么|怎么操作]，[卡号{card}|尾号{d}{d}{d}{d}|]
            [支付|付款]限额[怎么调|是多少|能提高吗]
            [充|充值]{amount}[什么时候到账|到了吗|可以退吗]
            余额[怎么提现|能转出来吗|提现手续费多少]
        """),
        phrases("""
            [咨询扣费明细|解释扣款原因]，[已解答|客户认可]
            指导[关闭免密|取消续费|绑卡]，已完成
        """),
        _line(PAY),
        3.5,
    ),
    Topic(
        "quality",
        0.7,
        "质量投诉",
        phrases("""
            [有|这次]一[个|盒|袋]{product}[不太新鲜|压坏了|有点蔫|磕碰了]{tail}
            [味道|口味][一般|偏咸|太淡|不如以前]，[分量也少|]
            [少|漏]了[一双筷子|一份米饭|一个赠品|一袋]，[补一下|退点钱吧|]
            [包装|盒子][破了|洒了|漏汤]，[里面还好|吃不了|弄一身]
            [保质期|生产日期][快到了|看不清|不对吧]
            [和图片|跟描述][不一样|差太多|差距大]，[失望|不值这个价]
        """),
        phrases("""
            客户反馈[个别商品|单件]质量问题，[补偿{d}元|已退款|赠券安抚]
            [漏发|少发]补寄，已登记
        """),
        _line(FRESH),
        2.8,
    ),
    Topic(
        "booking",
        1.6,
        "预订变更",
        phrases("""
            {product}[能改|想改|可以换]到[{d}号|后天|下周|周末]吗{tail}
            [取消|退订]{product}[扣多少|要手续费吗|怎么操作]
            [入住人|乘客|名字]写错了一个字[，怎么改|]，应该是{fullname}
            [几点|什么时候][能入住|要退房|检票|值机]
            [有|含][早餐|停车位|接机|行李额]吗
            [加|能加]一[张床|个人|个小孩]吗[，多少钱|]
            {product}[确认了吗|出票了没|订成功了没]，单号{order}
            [身份证|护照]没带，能[办入住|进站|取票]吗
        """),
        phrases("""
            [协助|]客户[改期|改签|修改入住人]，[已完成|待供应商确认]
            咨询[退改政策|入住时间|取票方式]，已解答
        """),
        _line(TRAVEL),
        3.6,
    ),
    Topic(
        "presale",
        0.6,
        CATCH_ALL,
        phrases("""
            {product}[多少钱|现在什么价|贵不贵|值得买吗]
            [想买|考虑入]{product}，[有推荐吗|哪款合适|老人用哪个好]
            {product}[有货吗|什么时候补货|能发{city}吗]
            [家里|店里|公司]用，[选哪个|要几个够|能开发票吧]
        """),
        phrases("""
            售前咨询{product}，已[推荐|解答]
            询问[价格|库存]，已告知
        """),
        (),
        4.1,
    ),
    Topic(
        "attitude",
        0.3,
        "态度投诉",
        phrases("""
            [上次|刚才|{when}]那个客服[态度差|不耐烦|挂我电话|答非所问]
            [骑手|师傅|快递员][态度恶劣|骂人|不敲门|乱放东西][，我要投诉|，你们管管|]
            [电话|热线][打不进|一直占线|等半天]{tail}
            [机器人|智能客服][一点用没有|听不懂人话|绕来绕去]
        """),
        phrases("""
            投诉[客服|配送员|安装师傅]态度，[已致歉|转主管|登记]
        """),
        (),
        2.0,
    ),
    Topic(
        "praise",
        0.25,
        "其他问题",
        phrases("""
            [东西|{product}]不错，[很满意|下次还来|推荐给朋友了]
            [上次|刚才]那位[客服|师傅|骑手][特别好|很耐心|太负责了]，[表扬一下|谢谢他]
            [提个建议|建议你们][加个夜间模式|出个大字版|多点颜色|送货再快点]
        """),
        phrases("""
            客户表扬[，已转达|]
            客户建议，已记录
        """),
        (),
        4.7,
    ),
    Topic(
        "worry",
        0.18,
        CATCH_ALL,
        phrases("""
            [想问下|担心]{product}[会不会漏电|安全吗|有没有辐射|会不会自己着火]
            网上说[别的牌子|有家的]{product}[爆炸了|冒烟|漏电]，[你们的没事吧|你们有检测吗]
            [电线|插头][有点热|温温的]是正常的吗
            这个[能给孕妇吃吗|小孩能吃吗|过敏的能吃不]
            收到[短信|电话]说是你们[客服|官方]，[是真的吗|是不是骗子|要我验证码我没给]
            [吃完|喝了]有点[胀|不消化]，[应该没事吧|跟这个有关系吗]
        """),
        phrases("""
            客户咨询[安全|使用]注意事项，已解答
            核实来电真伪，已提醒客户
        """),
        (),
        3.9,
    ),
    Topic(
        "version_news",
        0.2,
        "安装使用",
        phrases("""
            {product}[提示有新版本|让我更新|要升级]，[要不要升|升了有啥用|更新了什么]
            [升级|更新]完[多了什么功能|界面变了|图标不一样了]，[怎么用|挺好的|找不到原来的入口]
            [怎么|在哪]看{product}[是什么版本|固件版本|最新版是多少]
        """),
        phrases("""
            咨询[升级内容|版本功能]，已解答
        """),
        _SMART,
        4.2,
    ),
)


def topics_of(product: str) -> tuple[Topic, ...]:
    """Return the topics that fit a product."""
    return tuple(topic for topic in TOPICS if not topic.products or product in topic.products)
