"""What the service is about, without I/O."""
