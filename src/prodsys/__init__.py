"""A purchase-order exchange: a company's own instance, and the way to its partners."""

__version__ = "0.1.0"
