r"""Rows that need not fit into memory: partitions of files, lazy frames and clusters, read in passes.

A likelihood is a sum over rows, so everything that a fit needs of all rows is a small sum over partitions.  A first
pass reads the frames as they are and learns what makes the encoding (levels, classes, ranges,
:mod:`~bayes_softmax.data.sources.scan`).  A second encodes them and sums the moments of the features
(:mod:`~bayes_softmax.data.sources.moments`).  Rows that turn out to be few, or few distinct ones, are then a design in
memory like any other; for the others every later pass is a task for each partition and a merge of what comes back
(:mod:`~bayes_softmax.data.sources.passes`).  Rows are never gathered.
"""
