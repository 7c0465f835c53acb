"""A source package of Debian's, and the package that a Debian makes of it."""
