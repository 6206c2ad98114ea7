"""The validation pipeline: from a message's arrival to the verdict on it."""
