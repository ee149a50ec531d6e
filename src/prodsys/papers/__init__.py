"""Orders on paper."""

from prodsys.papers.order import order_on_paper
from prodsys.papers.picking import PickingList, picking_list_on_paper
from prodsys.papers.sheet import Paper
from prodsys.papers.words import language_of

__all__ = ["Paper", "PickingList", "language_of", "order_on_paper", "picking_list_on_paper"]
