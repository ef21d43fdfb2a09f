"""The vault's verbs on one noun, where there are many: `vault.orders.draft(…)`, `vault.requests.open(…)`."""
