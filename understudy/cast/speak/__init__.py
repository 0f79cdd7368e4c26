"""The cast speaks: espeak-ng (or festival) says phrases and tells when each sound is; mouths, brows and heads follow.

`lines` are what is said, `voice` says it, `mouth` shapes it, `acting` does all that faces do besides, and `take` is
the whole: a talking film of which everything is known.
"""
