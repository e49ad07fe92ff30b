"""Recorded worlds with their truth and provenance, shipped in the wheel."""
