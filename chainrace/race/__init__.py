"""What trials mean: moments, outcomes, statistics, verdict. No I/O of its own."""
