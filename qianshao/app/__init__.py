"""The front door: commands, the evidence card, the live page. May import everything; nothing imports it."""
