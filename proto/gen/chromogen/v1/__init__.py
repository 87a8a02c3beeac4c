"""Generated from proto/chromogen/v1."""
