"""Speed, side by side with the other implementations."""
