"""Korean text, from writing to sounds."""
