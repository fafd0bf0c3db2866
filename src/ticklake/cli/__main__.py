"""`python -m ticklake.cli` is `ticklake`."""

from ticklake.cli.main import main

if __name__ == "__main__":
    main()
