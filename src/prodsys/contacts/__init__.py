"""A company or person, and what makes two of them the same."""
