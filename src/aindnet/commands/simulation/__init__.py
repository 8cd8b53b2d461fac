"""What the simulate command is made of."""
