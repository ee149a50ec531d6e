"""A company we trade with, and whether it is ready to."""
