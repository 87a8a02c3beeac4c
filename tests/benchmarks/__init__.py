"""Benchmarks: each module prints one JSON line a measurement. Run by `make bench`, never by the tests."""
