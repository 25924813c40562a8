"""Starts the terminal app; loads Textual, so only `wicket` alone imports it."""

import os

from wicket_tui.options import Options


def start(options: Options) -> None:
    """Runs the app until it is left."""
    if options.low_bandwidth:
        os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    # Textual reads its settings while it is imported.
    from wicket_tui.app import WicketApp

    WicketApp(options).run(mouse=options.mouse)
