"""Sinks are all that leaves: ClickHouse, the push queue, feeds, files."""
