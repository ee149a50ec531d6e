"""Telling partners and programs of the house at once, and being told at once by suppliers."""
