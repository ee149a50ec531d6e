"""What the house is built with; it knows nothing of trade."""
