"""Benchmarks: measured by one command, printed as ratios, never asserted."""
