"""Admin > API access > Tokens."""
