"""What trials mean: offsets, outcomes, statistics, verdict. No I/O of its own."""
