"""What goes wrong on a feed: its names, and how often each is played."""

import msgspec


class Quirks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong, as chances a frame."""

    repeat: float = 0.0
    """The frame is sent three times."""
    garbage: float = 0.0
    """A message that nobody can read comes behind it."""
    unknown: float = 0.0
    """A message of a type that nobody knows comes behind it."""
    oversize: float = 0.0
    """A message of 2 MiB comes behind it."""
    close: float = 0.0
    """The exchange says goodbye behind it."""
    drop: float = 0.0
    """The connection is cut behind it, without a word."""
    hang: float = 0.0
    """From here on the connection stays up and says nothing any more."""
