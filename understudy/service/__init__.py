"""The edges: a page and a camera for people, jobs over HTTP for programs. Thin, over `animate`."""
