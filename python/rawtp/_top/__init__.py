"""``rawtp top``: who makes how much go, as it happens, in tables that have a bound."""
