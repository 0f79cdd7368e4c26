"""The cast: made-up people, drawn from two independent sets of numbers, so that the exact answer is always known.

`who` says who somebody is, `how` what the face does, `draw` makes pictures with their truth, `film` motion over time;
`stage` has the two functions most people want: `portrait` and `film`.
"""
