"""What this product promises, kept: ``unit`` (no database), ``integration`` (both engines), ``browser``."""
