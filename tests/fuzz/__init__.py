"""What comes from outside, changed at random: refused by a reason of ours, within a bound of memory."""
