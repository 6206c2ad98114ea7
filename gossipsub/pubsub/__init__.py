"""Topics: the driver of the router, and what applications hold."""
