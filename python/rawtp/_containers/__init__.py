"""Names of containers: ``runtimes`` finds them in the runtimes' own files, ``cache`` keeps them, so that nobody who
reads events waits for a file."""
