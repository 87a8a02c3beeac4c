"""Where slides come from and objects go."""
