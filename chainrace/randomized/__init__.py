"""Randomized trials: which start offsets to try, and which trials count. No I/O."""
