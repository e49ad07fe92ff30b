"""The measures of a vector of meaning: what reads texts writes it, what compares texts takes it from the event."""

UNIT = 127
"""Length of a vector of meaning."""
WIDTH = 512
"""Whole numbers of one byte in it."""
