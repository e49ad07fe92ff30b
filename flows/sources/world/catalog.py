"""What this invented company sells, where, over which channels, and what its devices write into their logs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Model:
    """One model of a device with the firmwares in the field and their shares."""

    name: str
    share: float
    firmwares: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Code:
    """One code that devices write in ordinary days too."""

    code: str
    level: str
    message: str
    weight: float
    """Share among the product's logs."""
    peak_hour: int
    """Hour of the day around which it is commonest: codes have their own rhythm."""


@dataclass(frozen=True)
class Product:
    """One product or service."""

    name: str
    line: str
    weight: float
    """Share of contacts inside its line."""
    aliases: tuple[str, ...]
    """How customers call it."""
    models: tuple[Model, ...] = ()
    prefix: str = ""
    """Prefix of its device identifiers; '' = the product has no devices."""
    ownership: float = 0.0
    """Share of people who own one."""
    messages: tuple[tuple[str, str], ...] = ()
    """Ordinary log messages: level, message with slots."""
    codes: tuple[Code, ...] = field(default=())


HOME, FRESH, PAY, TRAVEL = "智慧家居", "鲜送到家", "云付数码", "行旅出游"
LINES: tuple[str, ...] = (HOME, FRESH, PAY, TRAVEL)
LINE_WEIGHTS: tuple[float, ...] = (0.32, 0.34, 0.2, 0.14)

PRODUCTS: tuple[Product, ...] = (
    Product(
        "智能门锁",
        HOME,
        0.34,
        ("门锁", "智能锁", "你们那个锁", "指纹锁", "家里的锁", "密码锁", "大门的锁"),
        (
            Model("K1", 0.3, (("3.4.2", 0.4), ("3.4.6", 0.6))),
            Model("K2", 0.45, (("3.4.2", 0.25), ("3.4.6", 0.75))),
            Model("K3 Pro", 0.25, (("4.0.1", 0.5), ("4.0.3", 0.5))),
        ),
        "DL",
        0.3,
        (
            ("info", "keepalive ok up={n}h rssi=-{db}"),
            ("info", "unlock by finger slot={d}"),
            ("info", "unlock by code slot={d}"),
            ("info", "door closed auto lock"),
            ("debug", "ota poll none"),
            ("info", "battery {pct}%"),
        ),
        (
            Code("E411", "error", "broker handshake timeout after {ms}ms", 0.010, 3),
            Code("E414", "error", "tls session dropped retry={d}", 0.006, 21),
            Code("W120", "warn", "battery low {pct}%", 0.022, 8),
            Code("E132", "error", "finger sensor no response t={ms}", 0.006, 19),
            Code("W133", "warn", "finger match failed score={pct}", 0.03, 18),
            Code("E140", "error", "bolt motor stall current={ms}mA", 0.003, 7),
        ),
    ),
    Product(
        "可视门铃",
        HOME,
        0.14,
        ("门铃", "可视门铃", "门口那个铃", "猫眼"),
        (
            Model("V1", 0.5, (("2.7.0", 0.5), ("2.7.4", 0.5))),
            Model("V2", 0.5, (("2.7.4", 0.6), ("2.8.0", 0.4))),
        ),
        "DB",
        0.12,
        (
            ("info", "keepalive ok up={n}h rssi=-{db}"),
            ("info", "ring pressed push sent cost={ms}ms"),
            ("info", "pir wake zone={d}"),
        ),
        (
            Code("E221", "error", "video stream open failed err={d}", 0.009, 20),
            Code("W226", "warn", "push queue slow cost={ms}ms", 0.02, 19),
            Code("E229", "error", "relay unreachable retry={d}", 0.006, 22),
        ),
    ),
    Product(
        "家用摄像机",
        HOME,
        0.2,
        ("摄像机", "摄像头", "监控", "家里那个监控"),
        (
            Model("S3", 0.55, (("5.1.8", 0.5), ("5.2.1", 0.5))),
            Model("S5", 0.45, (("5.2.1", 0.8), ("5.1.8", 0.2))),
        ),
        "CA",
        0.2,
        (
            ("info", "keepalive ok up={n}h rssi=-{db}"),
            ("info", "motion zone={d} clip={n}"),
            ("info", "cloud upload ok {n}KB"),
            ("debug", "night mode switch lux={d}"),
        ),
        (
            Code("E231", "error", "storage card write failed sector={n}", 0.008, 2),
            Code("E236", "error", "p2p connect timeout {ms}ms", 0.01, 21),
            Code("W238", "warn", "frame rate low fps={d}", 0.025, 20),
        ),
    ),
    Product(
        "速热水器",
        HOME,
        0.18,
        ("热水器", "速热水器", "洗澡那个热水器", "卫生间热水器"),
        (
            Model("R40", 0.5, (("1.9.3", 1.0),)),
            Model("R60", 0.5, (("1.9.3", 0.5), ("1.9.5", 0.5))),
        ),
        "WH",
        0.14,
        (
            ("info", "keepalive ok up={n}h rssi=-{db}"),
            ("info", "heating set={pct} out={pct}"),
            ("info", "standby flow=0"),
        ),
        (
            Code("W311", "warn", "inlet temp sensor drift {d}", 0.02, 6),
            Code("E315", "error", "heater relay stuck check={d}", 0.003, 20),
            Code("W318", "warn", "water flow unstable {n}", 0.02, 21),
        ),
    ),
    Product(
        "扫地机器人",
        HOME,
        0.14,
        ("扫地机", "扫地机器人", "机器人", "扫拖一体机"),
        (
            Model("B2", 0.5, (("6.3.0", 0.5), ("6.3.2", 0.5))),
            Model("B5 Max", 0.5, (("6.3.2", 1.0),)),
        ),
        "RB",
        0.14,
        (
            ("info", "keepalive ok up={n}h rssi=-{db}"),
            ("info", "clean done area={pct}m2 cost={pct}min"),
            ("info", "dock charging {pct}%"),
        ),
        (
            Code("E512", "error", "main brush blocked current={ms}mA", 0.016, 10),
            Code("W515", "warn", "map relocate retry={d}", 0.025, 14),
            Code("E518", "error", "dock not found t={ms}", 0.01, 11),
        ),
    ),
    Product("生鲜采购", FRESH, 0.36, ("买的菜", "水果", "生鲜", "订的菜", "买的东西")),
    Product("外卖餐食", FRESH, 0.34, ("外卖", "餐", "点的饭", "午饭", "订的餐")),
    Product("商超日用", FRESH, 0.18, ("日用品", "超市的东西", "买的东西", "纸巾牛奶那单")),
    Product("鲜花蛋糕", FRESH, 0.12, ("蛋糕", "花", "生日蛋糕", "订的花")),
    Product(
        "钱包付款",
        PAY,
        0.42,
        ("钱包", "付款", "你们的支付", "扫码付"),
        (),
        "AP",
        0.5,
        (
            ("info", "session start cost={ms}ms"),
            ("info", "pay ok chan={d} cost={ms}ms"),
            ("info", "page cashier render {ms}ms"),
        ),
        (
            Code("E602", "error", "pay resp=E602 balance not enough seq={n}", 0.05, 12),
            Code("E610", "error", "gateway timeout cost={ms}ms", 0.02, 20),
            Code("W615", "warn", "risk check slow cost={ms}ms", 0.03, 21),
            Code("E640", "error", "token refresh refused st={d}", 0.01, 9),
        ),
    ),
    Product("会员订阅", PAY, 0.22, ("会员", "自动续费", "年卡", "连续包月")),
    Product("话费充值", PAY, 0.18, ("话费", "充值", "充的话费", "流量包")),
    Product(
        "运动手表",
        PAY,
        0.18,
        ("手表", "运动手表", "表", "你家手表"),
        (
            Model("M2", 0.6, (("7.0.4", 0.5), ("7.1.0", 0.5))),
            Model("M3", 0.4, (("7.1.0", 1.0),)),
        ),
        "WT",
        0.16,
        (
            ("info", "sync ok items={n} cost={ms}ms"),
            ("info", "battery {pct}%"),
            ("debug", "gps fix sats={d}"),
        ),
        (
            Code("E711", "error", "bt link lost reason={d}", 0.025, 8),
            Code("W716", "warn", "sync retry={d}", 0.03, 22),
            Code("W719", "warn", "drain fast {d}%/h", 0.01, 15),
        ),
    ),
    Product("酒店住宿", TRAVEL, 0.44, ("酒店", "房间", "订的房", "住的那家酒店")),
    Product("机票预订", TRAVEL, 0.26, ("机票", "航班", "票", "飞机票")),
    Product("火车票", TRAVEL, 0.18, ("火车票", "高铁票", "车票", "抢的票")),
    Product("景区门票", TRAVEL, 0.12, ("门票", "景区票", "预约的票", "乐园的票")),
)
PRODUCT: dict[str, Product] = {product.name: product for product in PRODUCTS}
LINE_PRODUCTS: dict[str, tuple[Product, ...]] = {
    line: tuple(product for product in PRODUCTS if product.line == line) for line in LINES
}
DEVICE_PRODUCTS: tuple[Product, ...] = tuple(product for product in PRODUCTS if product.prefix)

REGIONS: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("华东", 0.25, ("上海", "杭州", "苏州", "合肥", "宁波")),
    ("华南", 0.2, ("广州", "深圳", "佛山", "海口", "南宁")),
    ("华北", 0.16, ("北京", "天津", "石家庄", "太原")),
    ("华中", 0.13, ("武汉", "长沙", "郑州", "南昌")),
    ("西南", 0.12, ("成都", "重庆", "昆明", "贵阳")),
    ("西北", 0.05, ("西安", "兰州", "银川", "乌鲁木齐")),
    ("东北", 0.06, ("沈阳", "哈尔滨", "长春", "大连")),
    ("港澳", 0.03, ("香港", "澳门")),
)

CHANNELS: tuple[tuple[str, float], ...] = (
    ("app", 0.36),
    ("hotline", 0.25),
    ("wechat", 0.16),
    ("miniapp", 0.1),
    ("web", 0.08),
    ("store", 0.03),
    ("email", 0.02),
)
APP_VERSIONS: tuple[tuple[str, float], ...] = (("9.2.4", 0.15), ("9.3.0", 0.3), ("9.3.1", 0.55))

HOUR_PROFILE: dict[str, tuple[float, ...]] = {
    HOME: (2, 1, 1, 1, 1, 2, 4, 7, 9, 9, 9, 8, 7, 7, 7, 7, 8, 9, 11, 13, 14, 13, 9, 5),
    FRESH: (2, 1, 1, 0.5, 0.5, 1, 2, 4, 6, 8, 10, 14, 15, 10, 7, 6, 8, 12, 15, 13, 10, 7, 5, 3),
    PAY: (3, 2, 1, 1, 1, 1, 3, 5, 8, 10, 11, 11, 11, 9, 9, 9, 10, 10, 11, 12, 12, 11, 8, 5),
    TRAVEL: (3, 2, 1, 1, 1, 2, 4, 6, 9, 11, 11, 10, 9, 9, 10, 10, 10, 10, 10, 10, 10, 9, 7, 5),
}
WEEK_PROFILE: dict[str, tuple[float, ...]] = {
    HOME: (1.14, 0.98, 0.95, 0.95, 0.97, 1.05, 0.96),
    FRESH: (0.95, 0.92, 0.92, 0.94, 1.02, 1.14, 1.11),
    PAY: (1.16, 1.03, 1.0, 1.0, 1.02, 0.92, 0.87),
    TRAVEL: (1.02, 0.93, 0.93, 0.97, 1.12, 1.06, 0.97),
}
