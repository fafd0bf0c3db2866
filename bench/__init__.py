"""How fast each stage is, beside a peer: `make bench`, or `python -m bench feed --seconds 10`. RESULTS.md has the numbers."""
