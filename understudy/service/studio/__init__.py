"""The studio: a page on this machine in which a portrait is given a performance."""
