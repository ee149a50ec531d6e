"""Our own company: its card, and the life this instance is in."""
