"""What both doors call."""
