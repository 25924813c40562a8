"""The headless twin of the TUI: one Typer app a noun. Loads no Textual."""
