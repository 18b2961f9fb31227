"""A proxy that breaks what passes through it, for tests and drills: `python -m chammal.faults`."""
