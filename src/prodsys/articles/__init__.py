"""An article, its number here and its number at the supplier."""
