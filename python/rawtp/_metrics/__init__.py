"""Metrics for Prometheus: ``exposition`` is their text, ``server`` and ``textfile`` publish it, ``families`` are what
there is to say."""
