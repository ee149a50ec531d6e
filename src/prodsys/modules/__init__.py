"""Admin > Extensions."""
