"""Training of the networks. Never imported at run time (torch is absent there)."""
