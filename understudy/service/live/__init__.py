"""Live: a camera drives a portrait, now. Nothing waits in line: what is newer takes the place of what is older."""
