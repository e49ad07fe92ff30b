"""Detectors compare MANY events: count, expect, test, localise."""
