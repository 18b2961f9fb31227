"""What Chammal's services say to one another. Data only: no I/O, no behaviour beyond derivation."""
