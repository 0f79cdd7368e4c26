"""How good and how fast: measured, with the commit."""
