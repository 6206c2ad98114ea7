"""Parameters of public networks, with their sources."""
