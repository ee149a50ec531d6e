"""Purchase orders, Export to partner, what came of it."""
