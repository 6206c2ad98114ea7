"""Test peers made of other libraries, one folder each."""
