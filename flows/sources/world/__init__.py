"""Seeded synthetic worlds with truth: a service centre's traffic, its incidents, its decoys and its dirt."""

from flows.sources.world.generator import DEFAULT_START, World, WorldSummary, world_lines, write_world

__all__ = ["DEFAULT_START", "World", "WorldSummary", "world_lines", "write_world"]
