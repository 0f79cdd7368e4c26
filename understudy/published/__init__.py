"""The published models at their published size: their files under other people's names, what they cost, and the
algorithms that they were released with."""
