"""Themes and the shared style sheet of the terminal app."""
