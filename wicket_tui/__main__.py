"""`python -m wicket_tui`: the command line `wicket`."""

from wicket_tui.cli import main

if __name__ == "__main__":
    main()
