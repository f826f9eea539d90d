"""Networks that are more than a row of layers."""
