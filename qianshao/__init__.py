"""Qianshao 前哨: the words everyone uses, the desk that decides, and the front door."""

__version__ = "0.1.0"
