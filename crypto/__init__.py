"""Keys, peer ids, Noise XX, signed envelopes, peer records, message signing."""
