"""Destinations of events: standard output, a file."""
