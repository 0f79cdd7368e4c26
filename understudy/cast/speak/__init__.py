"""The cast speaks: espeak-ng says phrases and tells when each sound is; mouths, brows, lids and heads follow.

`lines` are what is said, `voice` says it, `mouth` shapes it, `acting` does all that faces do besides, and `take` is
the whole: a talking film of which everything is known.
"""
