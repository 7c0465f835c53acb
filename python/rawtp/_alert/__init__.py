"""Alerts: rules that events are compared with, and notifiers that tell somebody.

``toml_file`` reads a file of rules, ``rules`` checks it, ``conditions`` and ``patterns`` compare an event with a rule,
``engine`` counts and folds, ``alert`` is what comes of it, ``notifiers`` send it, each in threads of its own, and
``alerts`` holds all of that together.
"""
