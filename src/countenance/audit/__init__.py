"""The log: a Merkle tree with signed checkpoints, and the one file that lets an outsider check it."""
