"""Screens and dialogs of the terminal app, each beside its style sheet."""
