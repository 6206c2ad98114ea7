"""Commands that run the conformance kit or the benchmarks beside the library."""
