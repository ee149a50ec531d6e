"""The web pages: what people see of their orders, drafts, partners and logs, and what they do there."""
