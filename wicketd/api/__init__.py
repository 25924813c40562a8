"""The admin contract: what daemon and admin clients say to each other.

Imports nothing of either side.
"""
