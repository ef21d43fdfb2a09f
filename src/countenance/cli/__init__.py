"""The command line: one file a noun, each command one verb of the vault."""
