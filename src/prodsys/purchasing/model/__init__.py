"""The words and rules of purchase orders, one file for each thing they are about."""
