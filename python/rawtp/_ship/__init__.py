"""``rawtp ship``: reads a recorder's directory, and delivers what is in it.

It is a process of its own, so that no receiver can hold the recorder up. ``catalogue`` knows the files, ``position``
what was acknowledged, ``feed`` what comes next, and ``shipper`` delivers it.
"""
