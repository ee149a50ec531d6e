"""How a document reaches a system, ours or another's, once in effect: the engine, the promises and the courier that keeps them."""
