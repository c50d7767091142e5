"""How a fit is kept: one file, netCDF or zarr with our own JSON for names and encodings.

No pickle, nothing that executes code.  The root holds a header in its attributes; groups hold what ``idata`` holds, so
that ArviZ reads the files of posteriors too.  Version 2 adds the data: distinct rows once, with the columns that a
formula reads.  Version 3 adds a checksum over all of it.

A fit hands over a record of what it knows (``records``), which becomes labelled groups (``estimates``, ``draws``,
``data_groups``), then bytes (``containers``) with a checksum (``digest``), which are read once more (``reading``) and
then replace what was there (``writing``, ``ownership``, ``files``).
"""
