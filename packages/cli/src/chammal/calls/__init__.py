"""Recorded calls from the command line, over an api that runs."""
