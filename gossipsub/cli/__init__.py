"""The commands for people: nodes, keys, traces; and those that run the conformance kit."""
