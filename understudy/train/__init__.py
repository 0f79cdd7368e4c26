"""One loop for everything that is learnt here. It has never heard of faces: a `Task` tells it what to do."""
