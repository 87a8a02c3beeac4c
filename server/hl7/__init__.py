"""HL7 v2: text to an order, a result to text, MLLP both ways."""
