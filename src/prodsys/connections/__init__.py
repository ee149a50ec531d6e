"""A configured system and its flows: what goes where, when, and how."""
