"""The suppliers' catalogues, as their instances offer them to us."""
