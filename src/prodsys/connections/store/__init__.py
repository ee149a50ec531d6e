"""Every statement about connections, one file for each thing that is kept of them."""

from prodsys.connections.store import code_lists, connections, flows, grants, mappings, members, runs, shelf

__all__ = ["code_lists", "connections", "flows", "grants", "mappings", "members", "runs", "shelf"]
