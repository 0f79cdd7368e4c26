"""Understudy for people and for programs: thin edges over `animate`."""
