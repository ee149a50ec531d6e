"""Orders on paper."""

from prodsys.papers.order import Paper, order_on_paper
from prodsys.papers.words import language_of

__all__ = ["Paper", "language_of", "order_on_paper"]
