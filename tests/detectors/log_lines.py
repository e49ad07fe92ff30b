"""Device messages of known formats whose variable parts are bare words, as programs of many hands write them."""

from __future__ import annotations

from random import Random

NAMES = ["zhang", "li_wei", "Xiaoming", "chenyu", "wang.fang", "lihua", "Anna", "sunny", "tom", "guest", "张伟", "爸爸"]
NAMES += ["admin", "maomao", "yoyo", "linda"]
ROOMS = ["bedroom", "kitchen", "living", "balcony", "study", "garage", "attic", "nursery", "hall", "pantry", "cellar"]
PACKAGES = [
    f"com.{maker}.{app}"
    for maker in ("edu", "tencent", "kugou", "youku", "tal", "zuoyebang")
    for app in ("player", "reader", "launcher", "music")
]
FOLDERS = ["DCIM", "backup", "clips", "2026", "cache", "ota", "logs", "music"]
FILES = ["alarm.wav", "cfg.json", "intro.mp4", "user.db", "report.txt", "key.pem", "face.bin", "index.idx"]
HOSTS = [
    f"{node}.{zone}.example.cn" for node in ("mq", "ota", "edge", "log", "rtc") for zone in ("east", "north", "gz")
]
NETWORKS = ["MERCURY_Home", "TP-LINK", "CMCC-home", "ChinaNet", "ziroom", "HUAWEI-guest", "Xiaomi", "office", "MyWiFi"]

FORMATS: tuple[str, ...] = (
    "bind fail user={name}",
    "bind fail device busy user={name}",
    "anr in {package} pid={number}",
    "crash in {package} signal=SIGSEGV",
    "crash in {package} signal=SIGABRT",
    "open {path} failed: permission denied",
    "open {path} failed: no space left",
    "write {path} err=EIO",
    "write {path} err=ENOSPC",
    "connect host={host} port={number} timeout",
    "connect host={host} port={number} refused",
    "resolve {host} failed",
    "wifi join failed ssid={network} reason=auth",
    "wifi join failed ssid={network} reason=dhcp",
    'scene "{room}" not executed, hub offline',
    "login rejected account={name} reason=expired",
    "login rejected account={name} reason=locked",
    "door state=jammed",
    "door state=open",
    "motor stall axis=pan",
    "motor stall axis=tilt",
    "thread {name} died in watchdog",
    "sync album {room} failed",
    "sync contacts of {name} failed",
    "voice command from {name} not understood",
    "task upload owner: {name} retries exhausted",
    "url https://{host}/{folder}/{number} returned 503",
    "url https://{host}/{folder}/{number} returned 404",
    "schedule {room} skipped, clock not set",
    "config key brightness invalid value=high",
    "config key volume invalid value=high",
    "sensor {number} zone={room} no data",
    "plugin {package} version mismatch",
    "E207 handshake failed peer={host}",
    "E208 handshake failed peer={host}",
    "cert of {host} expired",
)
"""Each is a fault of its own: lines of one format are one template, lines of two are never one."""


def lines(seed: int, each: int) -> list[tuple[int, str]]:
    """Write `each` lines of every format in mixed order: pairs (number of the format, message)."""
    rng = Random(seed)
    written = []
    for number, form in enumerate(FORMATS):
        for _ in range(each):
            path = f"/{rng.choice(('data', 'mnt', 'sdcard'))}/{rng.choice(FOLDERS)}/{rng.choice(FILES)}"
            message = form.format(
                name=rng.choice(NAMES),
                package=rng.choice(PACKAGES),
                path=path,
                host=rng.choice(HOSTS),
                network=rng.choice(NETWORKS),
                room=rng.choice(ROOMS),
                folder=rng.choice(FOLDERS),
                number=rng.randrange(1, 9999),
            )
            written.append((number, message))
    rng.shuffle(written)
    return written
