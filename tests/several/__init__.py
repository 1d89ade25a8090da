"""The product on several machines, tried for real: ``make several``."""
