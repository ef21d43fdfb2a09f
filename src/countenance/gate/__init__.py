"""The gate: pure decisions, with reasons, on what may be looked at and what may be kept. It reads no database."""
