"""What holds for all tests, doctests too, before any library is imported."""

import os

# Several processes test at once, and call commands: one thread each.
for threads in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS"):
    os.environ.setdefault(threads, "1")
