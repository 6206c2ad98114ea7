"""`gossipsub bench`: rates, latencies and costs of nodes of any implementation, side by side."""
