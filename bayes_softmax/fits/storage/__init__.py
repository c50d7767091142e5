"""How a fit is kept: one file, netCDF or zarr with our own JSON for names and encodings.

No pickle, nothing that executes code.  The root holds a header in its attributes; groups hold what ``idata`` holds, so
that ArviZ reads the files of posteriors too.  Version 2 adds the data: distinct rows once, with the columns that a
formula reads.  Version 3 adds a checksum over all of it.

When to raise ``FORMAT_VERSION`` (``reading``): where an older package would misread a new file, as when what is there
changes its meaning.  It refuses newer versions, and reads past names that it does not know, so that a name that is only
added needs no new version.  But what reads it must do without: every name of a file by an older package is missing what
came after it, and a name that is looked up with no default makes all of these "damaged".  So its default is what held
before there was the name, as for ``logits`` of the header (absent: linear).  A name added to ``estimates.SCALARS`` or
``COUNTS`` has none yet, and needs one.

A fit hands over a record of what it knows (``records``), which becomes labelled groups (``estimates``, ``draws``,
``data_groups``), then bytes (``containers``) with a checksum (``digest``), which are read once more (``reading``) and
then replace what was there (``writing``, ``ownership``, ``files``).
"""
