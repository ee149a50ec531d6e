"""Sales > Order drafts: what waits for an answer, and the answer."""
