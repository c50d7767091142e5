"""Storage of a fit: one netCDF file or zarr folder, with JSON for names and encodings.

No pickle, nothing that executes code.  The root holds a header in its attributes; the groups are those of ``idata``, so
that ArviZ reads the files of posteriors too.  Version 2 adds the data: each distinct row once, with the columns
that a formula reads.  Version 3 adds a checksum of all contents.

Raise ``FORMAT_VERSION`` (``reading``) when an older package would misread a new file, as when a name changes its
meaning.  Older packages refuse newer versions and ignore names that they do not know, so a name that is only added
needs no new version.  Older files lack it, however, and reading a name without a default makes all of them "damaged".
Give it the value that held before the name existed, as ``logits`` of the header is linear where absent.  A name added
to ``estimates.SCALARS`` or ``COUNTS`` needs a default in ``estimates.read_estimate``, which has none yet.

A fit provides a record of its values (``records``), which becomes labelled groups (``estimates``, ``draws``,
``data_groups``) with a checksum (``digest``), then bytes (``containers``).  These are read back (``reading``) before
they replace an older fit (``writing``, ``ownership``, ``files``).
"""
