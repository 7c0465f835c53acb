"""Tracers for a process without privilege: another process loads the programs, and hands over what a tracer needs.

The import of the package imports nothing, because sudo's helper runs as root.
"""
