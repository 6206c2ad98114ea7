"""`gossipsub peer`: a node as a child process, steered by JSON lines (the test-peer protocol)."""
