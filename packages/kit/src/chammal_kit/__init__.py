"""What two or more Chammal services share: the app they start from, and how they call one another."""
