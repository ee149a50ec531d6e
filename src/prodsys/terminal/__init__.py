"""The command line: one file for each group of verbs, each opening the rooms it needs only when it is called."""
