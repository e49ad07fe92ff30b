"""The typed tokens that stand for identifiers, and the span that each rule of masking answers with."""

from __future__ import annotations

PHONE = "〔手机〕"
LANDLINE = "〔座机〕"
RESIDENT = "〔身份证〕"
CARD = "〔银行卡〕"
EMAIL = "〔邮箱〕"
PLATE = "〔车牌〕"
ADDRESS = "〔地址〕"
NAME = "〔姓名〕"
WECHAT = "〔微信〕"
ORDER = "〔订单号〕"
DEVICE = "〔设备号〕"
ACCOUNT = "〔账号〕"
NUMBER = "〔号码〕"
"""A part of an identifier, of whatever kind."""

Span = tuple[int, int, str]
"""Start and end of an identifier in a normalised text, and the token that takes its place."""

HAN = "\u4e00-\u9fff"
