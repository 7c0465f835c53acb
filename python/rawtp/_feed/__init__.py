"""What is new in a recorder's directory since the last look: for ``rawtp ship``, and for the alerts of a recorder.

``catalogue`` knows the files, ``position`` keeps what was taken, and ``feed`` gives what comes next; ``by_time`` puts
the events of a sealed file in the order of their times.
"""
