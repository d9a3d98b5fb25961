"""Data that both ends know, node and lab: actors, rules, calls, schedules. No I/O."""
