"""Building tasks: one file per public source format."""
