"""The systems we can speak to, one file each."""

CONNECTORS = ("prodsys",)
"""Every connector by the name of its file, in the order people see them."""
