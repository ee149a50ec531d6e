"""What an operator does: upgrade, back up, restore, and ask whether all is well."""
