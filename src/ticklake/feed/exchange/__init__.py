"""An exchange of our own: a made-up market, the vendor's protocol, its quirks, and the truth."""
