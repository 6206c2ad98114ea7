"""Holding score parameters to what they should promise."""
