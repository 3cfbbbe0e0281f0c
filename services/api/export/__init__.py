"""A batch as one download: every file with what became of it, as lines of JSON or as an archive.

An export is a row of parts, each made from a fixed range of the batch's files by short reads of its own, and
never from the part before it but for a few numbers (`known`). So it needs the memory of one part, however
large the batch is, and it can be begun in its middle. Parts of a final batch have the same bytes each time.
"""
