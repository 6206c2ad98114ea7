"""The test peer made of py-libp2p. It runs in an environment of its own and shares with ours what
reads commands, counts and writes lines."""
