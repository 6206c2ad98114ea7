"""Cuts secrets and personal data out of what an agent says, before it is signed and sent."""
