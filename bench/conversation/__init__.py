"""Talking to it: how soon after the last word the answer is to be heard, and where the time went."""
