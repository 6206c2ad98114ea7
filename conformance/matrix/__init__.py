"""Every implementation with every other: what works between them."""
