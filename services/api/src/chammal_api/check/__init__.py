"""The 불완전판매 check: rules first, the language model for what they leave open, and code for every verdict."""
