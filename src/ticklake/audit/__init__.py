"""Proof: what every hop of the path holds, counted. Never imports the warehouse."""
