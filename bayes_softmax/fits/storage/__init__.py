"""Storage of a fit: one netCDF file or zarr folder, with JSON for names and encodings.

No pickle, nothing that executes code.  The root holds a header in its attributes; the groups are those of ``idata``, so
that ArviZ reads the files of posteriors too.  Version 2 adds the data: each distinct row once, with the columns
that a formula reads.  Version 3 adds a checksum of all contents.

A fit provides a record of its values (``records``), which becomes labelled groups (``estimates``, ``draws``,
``data_groups``) with a checksum (``digest``), then bytes (``containers``).  These are read back (``reading``) before
they replace an older fit (``writing``, ``ownership``, ``files``).
"""
