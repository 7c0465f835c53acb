"""``rawtp ship``: reads a recorder's directory, and delivers what is in it.

It is a process of its own, so that no receiver can hold the recorder up. :mod:`rawtp._feed` gives what comes next, and
``shipper`` delivers it.
"""
