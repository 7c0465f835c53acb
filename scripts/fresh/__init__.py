"""`make test-fresh`: the README on machines that have just been made."""
