"""What every room may use: errors and exit codes, paths, files, text, interruption."""
