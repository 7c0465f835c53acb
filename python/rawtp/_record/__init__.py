"""``rawtp record``: the life of a recorder as a service."""
