"""Admin > Logs > Integration logs: everything that passed between companies, as a person would tell it."""
