"""Ground floor: the records and the protocol that every room shares."""
