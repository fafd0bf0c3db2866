"""Every error that ticklake raises on purpose.

    TicklakeError
    ├── SettingsInvalid           a setting cannot be read
    ├── HomeError
    │   ├── HomeUnwritable        the home folder cannot be written
    │   └── HomeVersionMismatch   another version of ticklake made the home
    ├── KeyRefused                the feed does not know the key
    ├── FeedUnreachable  retry    no connection to the feed came about
    ├── PlanRefused               the key's plan has no access to what was asked for
    ├── RequestRefused            the vendor cannot do what was asked for
    ├── AnswerInvalid             the vendor's answer is not what it should be
    ├── VendorUnavailable retry   the vendor does not answer, or only with errors
    ├── StageLocked      retry    another process works on this stage
    ├── DiskFull         retry    no space left: nothing acknowledged was lost
    ├── RecordingInvalid          a recording cannot be replayed
    │   └── RecordingTruncated    it ends in the middle
    ├── LogCorrupt                a log segment cannot be read
    ├── StoreUnavailable retry    the object store does not answer
    ├── ObjectCorrupt             a landed object is not what was landed
    ├── OffsetConflict            two different records claim one offset
    ├── WarehouseBusy    retry    another process has the warehouse open
    ├── BuildUnfinished  retry    gold is not what was loaded, or not of these rules
    ├── BuildFailed               a model or a data test failed
    ├── QueryInvalid              the SQL of a query is wrong
    ├── SymbolUnknown             no trade of this symbol was ever recorded
    ├── LedgerUnbalanced          a hop of the path has a residual
    ├── SeedsInvalid              a seed says what no rule knows
    ├── NotVerified               a bar is not what the landed bytes say
    ├── LoopbackRefused           programs of this machine cannot talk to each other
    └── DemoFailed                what the demo promises did not hold

`what` says what happened, with the value; `hint` the next thing to type or open. Bad data is
not an error: it goes to quarantine and is counted.
"""

from typing import ClassVar


class TicklakeError(Exception):
    """Base of the tree. Caught in the CLI and nowhere else."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


class SettingsInvalid(TicklakeError):
    """A setting cannot be read; the message names it and where it came from."""


class HomeError(TicklakeError):
    """Something is wrong with the home folder."""


class HomeUnwritable(HomeError):
    """The home folder, or a folder in it, cannot be written."""


class HomeVersionMismatch(HomeError):
    """The home was made by a version with another layout."""


class KeyRefused(TicklakeError):
    """The feed does not know the key: no use in trying again."""


class FeedUnreachable(TicklakeError):
    """No connection to the feed came about for as long as it was tried."""

    retryable = True


class PlanRefused(TicklakeError):
    """The key is known, but its plan has no access to what was asked for: no use in trying again."""


class RequestRefused(TicklakeError):
    """The vendor understands the request and will not answer it: an unknown path, a parameter that it cannot read."""


class AnswerInvalid(TicklakeError):
    """The vendor answered with something that is not what it should be. Nothing of it was logged."""


class VendorUnavailable(TicklakeError):
    """The vendor's REST does not answer, or only with errors that may pass."""

    retryable = True


class StageLocked(TicklakeError):
    """Another process works on this stage of the same home."""

    retryable = True
    exit_code = 4


class DiskFull(TicklakeError):
    """The disk has no space left. What was acknowledged before is safe."""

    retryable = True


class RecordingInvalid(TicklakeError):
    """A recording is not in a form that can be replayed."""


class RecordingTruncated(RecordingInvalid):
    """A recording ends in the middle. Nothing of it was sent."""


class LogCorrupt(TicklakeError):
    """A segment of the log cannot be read."""


class StoreUnavailable(TicklakeError):
    """The object store does not answer. Nothing was advanced."""

    retryable = True


class ObjectCorrupt(TicklakeError):
    """A landed object's bytes are not what was landed."""


class OffsetConflict(TicklakeError):
    """Two different records claim one offset of one log."""


class WarehouseBusy(TicklakeError):
    """Another process has the warehouse open, longer than we wait."""

    retryable = True
    exit_code = 4


class BuildUnfinished(TicklakeError):
    """Gold was not built from all that was loaded, or by other rules than these."""

    retryable = True


class BuildFailed(TicklakeError):
    """A model or a data test failed; the warehouse keeps its last good state of that model."""


class QueryInvalid(TicklakeError):
    """The warehouse refused the SQL of a query."""


class SymbolUnknown(TicklakeError):
    """No trade of this symbol is in the warehouse."""


class LedgerUnbalanced(TicklakeError):
    """A hop of the path holds more or less than the hop before it gave."""

    exit_code = 3


class SeedsInvalid(TicklakeError):
    """A seed of the dbt project says what no rule knows."""


class NotVerified(TicklakeError):
    """A bar is not what the landed bytes say."""

    exit_code = 3


class LoopbackRefused(TicklakeError):
    """No program may listen on this machine's own address, or none can be reached there."""


class DemoFailed(TicklakeError):
    """A promise of the demo did not hold."""

    exit_code = 3
