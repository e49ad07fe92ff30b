"""The live page: one sentence of status, volumes inside their band, hotspots, incidents and their evidence."""
