"""What was said in CHORUS, kept: a log on disk whose every entry is chained to the one before and
signed for by its node, or a bounded one in memory."""
