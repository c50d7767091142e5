"""From a specification to an estimate or a posterior."""
