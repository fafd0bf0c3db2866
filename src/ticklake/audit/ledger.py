"""The conservation ledger: one balanced line a hop.

    log → landing      offsets logged  = landed + pending + recorded as lost
    landing → bronze   records landed  = in bronze + in quarantined objects + waiting for a build
    bronze → silver    prints parsed   = trades + duplicates + quarantined
    silver → gold      trades in size  = the trade counts of each bar length, through the lens all_prints
    undecided          what cannot be known is counted, not guessed: messages that a session sent twice, and identical
                       prints of which each collector held only some
    vendor history     answers that hold no prints = read + without data + malformed + without their question

Takes      the log, the store, and read-only SQL
Guarantee  both sides of a line are counted in different places; the residual is what they differ by
Raises     WarehouseBusy (retryable)
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ticklake.contracts.codec import decode_object
from ticklake.contracts.objects import LANDING_PREFIX, LOSS_PREFIX, LossKey, ObjectKey
from ticklake.contracts.ports import Log, ObjectStore, Query
from ticklake.errors import ObjectCorrupt, QueryInvalid

BAR_TABLES: Final = ("bars_1m", "bars_5m", "bars_1d")


MANIFEST: Final = "select object_key, records, trimmed, (select count(*) from bronze.frames) as in_bronze from bronze.landed_objects"
"""What was loaded, as it was told then, beside what is there now."""

PRINTS_IN_BRONZE: Final = """
    select coalesce(sum(case
        when kind = 'control' or parser = 'vendor_history' then 0
        when kind = 'raw' or parser is null then 1
        when parser = 'finnhub' then case
            when json_type(frame) <> 'OBJECT' then 1
            when len(json_keys(frame)) <> len(list_distinct(json_keys(frame))) then 1
            when json_type(frame, '$.type') is distinct from 'VARCHAR' then 1
            when frame ->> '$.type' <> 'trade' then 0
            when json_type(frame, '$.data') is distinct from 'ARRAY' then 1
            else json_array_length(frame, '$.data')
        end
        when parser = 'finnhub_tick' then case
            when json_type(frame) <> 'OBJECT' then 1
            when len(json_keys(frame)) <> len(list_distinct(json_keys(frame))) then 1
            when json_type(frame, '$.s') is distinct from 'VARCHAR' or frame ->> '$.s' = '' then 1
            when json_type(frame, ['$.p', '$.v', '$.t']) = ['NULL', 'NULL', 'NULL'] then 0
            when json_type(frame, ['$.p', '$.v', '$.t']) is distinct from ['ARRAY', 'ARRAY', 'ARRAY'] then 1
            when json_type(frame, '$.c') not in ('NULL', 'ARRAY') then 1
            when contains(frame, chr(92)) or len(regexp_extract_all(frame, '"[pvt]"[[:space:]]*:')) <> 3 then 1
            when json_array_length(frame, '$.p') <> json_array_length(frame, '$.v') then 1
            when json_array_length(frame, '$.p') <> json_array_length(frame, '$.t') then 1
            when json_type(frame, '$.c') = 'ARRAY' and json_array_length(frame, '$.p') <> json_array_length(frame, '$.c') then 1
            when regexp_matches(frame, '"[pvt]"[[:space:]]*:[[:space:]]*[[][^]]*["{[]') then 1
            else json_array_length(frame, '$.p')
        end
        else 1
    end), 0)
    from bronze.frames
    left join silver.feeds on frames.feed = feeds.feed
    where load_id <= (select coalesce(max(load_id), 0) from silver.watermarks where model = 'prints')
"""
"""How many prints the parsers have to account for, counted without parsing one; what nobody can parse is one."""

ANSWERS_IN_BRONZE: Final = """
    select count(distinct (frames.feed, frames.session, frames.seq))
    from bronze.frames
    inner join silver.feeds on frames.feed = feeds.feed
    where feeds.parser = 'vendor_history' and frames.kind <> 'control'
"""
"""How many answers there are to be read; the copies of one count once."""


class Hop(msgspec.Struct, frozen=True):
    """One line: what went in, and where it is."""

    name: str
    unit: str
    total: int
    parts: dict[str, int]

    @property
    def residual(self) -> int:
        """What went in and is nowhere; negative if more came out."""
        return self.total - sum(self.parts.values())

    @property
    def is_balanced(self) -> bool:
        """Whether everything is accounted for."""
        return self.residual == 0


class _Object(msgspec.Struct):
    first_offset: int
    end: int
    records: int | None
    """Less than lie between the two, if another object holds some of them as well."""

    is_loaded: bool
    is_quarantined: bool


Partition = tuple[str, int]


def balance(log: Log, store: ObjectStore, query: Query) -> list[Hop]:
    """Count every hop."""
    manifest = _rows(query, MANIFEST)
    kept = {key: records - trimmed for key, records, trimmed, _ in manifest}
    lengths = {key: records for key, records, _, _ in manifest}
    in_bronze = manifest[0][3] if manifest else 0
    quarantined = {key for (key,) in _rows(query, "select object_key from bronze.quarantined_objects")}
    partitions = _survey(store, kept, lengths, quarantined)
    hops = [_balance_landing(log, store, partitions), _balance_bronze(partitions, in_bronze)]
    if _rows(query, "select 1 from information_schema.tables where table_schema = 'silver' and table_name = 'prints'"):
        hops.append(_balance_silver(query))
        hops.extend(_balance_gold(query))
        hops.extend(_count_undecided(query))
        hops.extend(_count_answers(query))
    return hops


def _survey(store: ObjectStore, kept: dict[str, int], lengths: dict[str, int], quarantined: set[str]) -> dict[Partition, list[_Object]]:
    """Give each partition's objects in order; the length of a broken one is told by the next."""
    partitions: dict[Partition, list[_Object]] = {}
    for name in store.list(LANDING_PREFIX):
        key = ObjectKey.parse(name)
        length = lengths[name] if name in lengths else _count_records(store, name)
        found = _Object(
            key.first_offset,
            end=key.first_offset + (length or 0),
            records=kept.get(name, length),
            is_loaded=name in kept,
            is_quarantined=name in quarantined or length is None,
        )
        partitions.setdefault((key.log_id, key.partition), []).append(found)
    for objects in partitions.values():
        objects.sort(key=lambda each: each.first_offset)
        for each, following in zip(objects, [*objects[1:], None], strict=True):
            if each.records is None:
                each.records = following.first_offset - each.first_offset if following else 0
                each.end = each.first_offset + each.records
    return partitions


def _count_records(store: ObjectStore, name: str) -> int | None:
    try:
        return decode_object(name, store.read(name)).count(b"\n")
    except ObjectCorrupt:
        return None


def _balance_landing(log: Log, store: ObjectStore, partitions: dict[Partition, list[_Object]]) -> Hop:
    losses = [LossKey.parse(key) for key in store.list(LOSS_PREFIX)]
    lost = sum(loss.last_offset - loss.first_offset + 1 for loss in losses)
    landed = sum(_count(objects) for objects in partitions.values())
    logged = pending = 0
    ends = {place: _end(objects) for place, objects in partitions.items()}
    log_id = log.log_id
    for partition in log.partitions() if log_id else ():
        end = log.end_offset(partition)
        landed_to = ends.pop((log_id, partition), 0)
        logged += end
        pending += max(0, end - max(landed_to, log.begin_offset(partition) if landed_to == 0 else 0))
    logged += sum(ends.values())
    return Hop("log → landing", "offsets", logged, {"landed": landed, "pending": pending, "lost": lost})


def _balance_bronze(partitions: dict[Partition, list[_Object]], in_bronze: int) -> Hop:
    objects = [each for of_partition in partitions.values() for each in of_partition]
    parts = {
        "in bronze": in_bronze,
        "quarantined": sum(each.records or 0 for each in objects if each.is_quarantined and not each.is_loaded),
        "waiting": sum(each.records or 0 for each in objects if not (each.is_loaded or each.is_quarantined)),
    }
    return Hop("landing → bronze", "records", _count(objects), parts)


def _balance_silver(query: Query) -> Hop:
    verdicts = dict(_rows(query, "select verdict, count(*) from silver.prints group by verdict"))
    parts = {
        "trades": verdicts.get("trade", 0),
        "duplicates": verdicts.get("duplicate", 0),
        "quarantined": verdicts.get("quarantined", 0),
    }
    return Hop("bronze → silver", "prints", int(_rows(query, PRINTS_IN_BRONZE)[0][0]), parts)


def _balance_gold(query: Query) -> Iterable[Hop]:
    trades = int(_rows(query, "select count(*) from silver.prints where verdict = 'trade' and size > 0")[0][0])
    for table in BAR_TABLES:
        counted = _rows(query, f"select coalesce(sum(trade_count), 0) from gold.{table} where lens = 'all_prints'")[0][0]  # noqa: S608 — our own names
        yield Hop(f"silver → {table}", "trades", trades, {"in bars": int(counted)})


def _count_undecided(query: Query) -> Iterable[Hop]:
    repeats = "select count(*), count(*) filter (where reason = 'suspected_repeat') from silver.prints where is_suspected_repeat"
    suspected, dropped = _rows(query, repeats)[0]
    yield Hop("suspected repeats", "prints", suspected, {"kept": suspected - dropped, "dropped": dropped})
    held = _rows(query, "select count(*) from silver.partly_held")[0][0]
    yield Hop("partly held", "groups", held, {"undecided": held})


def _count_answers(query: Query) -> Iterable[Hop]:
    """Give one line, where a vendor was ever asked."""
    asked = sum(count for (count,) in _rows(query, ANSWERS_IN_BRONZE))
    if asked:
        statuses = dict(_rows(query, "select status, count(*) from silver.vendor_answers group by status"))
        names = {"read": "read", "no_data": "without data", "malformed": "malformed", "unplaced": "without their question"}
        yield Hop("vendor history", "answers", asked, {name: statuses.get(status, 0) for status, name in names.items()})


def _rows(query: Query, sql: str) -> list[tuple[Any, ...]]:
    try:
        return query(sql).rows
    except QueryInvalid as error:
        if "there is no warehouse" in error.what:
            return []
        raise


def _count(objects: Iterable[_Object]) -> int:
    return sum(each.records or 0 for each in objects)


def _end(objects: list[_Object]) -> int:
    return max(each.end for each in objects)
