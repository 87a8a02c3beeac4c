"""The service of a hospital laboratory: orders in, results out. Computes nothing from pixels."""
