"""Tasks that are completed exactly once: boards of agents that announce work and carry it out."""
