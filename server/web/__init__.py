"""The HTTP door: health and sign-in today; the pathologist's page comes to stand on it."""
