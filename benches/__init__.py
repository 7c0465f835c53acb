"""What tracing costs and how much it carries, beside floors and peers: ``make bench``."""
