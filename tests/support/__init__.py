"""What the tests stand on. Each module is about one thing and says how to use it."""
