"""Who is heard at all."""
