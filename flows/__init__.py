"""Flows are all that enters, and the order in which things happen. The only folder that knows the engine."""
