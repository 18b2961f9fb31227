"""English text, from writing to sounds."""
