"""Records, sealed: the only place with SQL and the only door to key material."""
