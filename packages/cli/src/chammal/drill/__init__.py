"""`chammal drill`: breaks one thing in a mesh that runs, and shows what its users get meanwhile."""
