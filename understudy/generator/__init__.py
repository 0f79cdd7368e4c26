"""Portrait and motion to frames."""
