"""Drawings and certificates beside orders, each known by the hash of its content."""
