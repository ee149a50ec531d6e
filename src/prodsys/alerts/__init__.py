"""Admin > Alerts: who wants to hear of what, and telling each trouble once, with what to do about it."""
