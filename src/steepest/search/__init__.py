"""The search: one walk from a start, and where to walk again for lower ground. One file per way to look."""
