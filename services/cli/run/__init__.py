"""`batchmill run`: a folder in, a batch over it, its results out.

Talks to the API by the official client only.
"""
