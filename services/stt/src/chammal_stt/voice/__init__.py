"""How something was said."""
