{#
    grain: identical prints of which each collector that held some is known to have missed some:
    feed, symbol, traded_ms, price, size, conditions

    A collector missed a print if another received it while it was not connected. The true number of such prints
    cannot be known: silver.trades has as many as the collector that held most. An answer to a question is no
    connection: what it does not hold, it was not there to miss.
#}
{{ config(materialized='view', tags=['definition']) }}

with prints as (

    select * from {{ ref('prints') }}

),

feed_sessions as (

    select * from {{ ref('feed_sessions') }}

),

feeds as (

    select * from {{ ref('feeds') }}

),

copies as (

    select
        prints.feed,
        prints.symbol,
        prints.traded_ms,
        prints.price,
        prints.size,
        prints.conditions,
        prints.collector,
        prints.received_ns
    from prints
    inner join feed_sessions
        on prints.feed = feed_sessions.feed and prints.session = feed_sessions.session
    where prints.occurrence is not null and feed_sessions.cause is distinct from 'answered'

),

connected as (

    select
        feed_sessions.feed,
        case when feeds.replays_on_reconnect then feed_sessions.session else feed_sessions.collector end as collector,
        feed_sessions.first_received_ns,
        feed_sessions.last_received_ns
    from feed_sessions
    inner join feeds on feed_sessions.feed = feeds.feed

),

holders as (

    select distinct
        feed,
        symbol,
        traded_ms,
        price,
        size,
        conditions,
        collector
    from copies

),

misses as (

    select distinct
        holders.feed,
        holders.symbol,
        holders.traded_ms,
        holders.price,
        holders.size,
        holders.conditions,
        holders.collector
    from holders
    inner join copies
        on
            holders.feed = copies.feed
            and holders.symbol = copies.symbol
            and holders.traded_ms = copies.traded_ms
            and holders.price = copies.price
            and holders.size = copies.size
            and holders.conditions = copies.conditions
            and holders.collector <> copies.collector
    where not exists (
        select 1
        from connected
        where
            connected.feed = holders.feed
            and connected.collector = holders.collector
            and copies.received_ns between connected.first_received_ns and connected.last_received_ns
    )

),

partly_held as (

    select
        holders.feed,
        holders.symbol,
        holders.traded_ms,
        holders.price,
        holders.size,
        holders.conditions,
        count(*) as collectors
    from holders
    left join misses
        on
            holders.feed = misses.feed
            and holders.symbol = misses.symbol
            and holders.traded_ms = misses.traded_ms
            and holders.price = misses.price
            and holders.size = misses.size
            and holders.conditions = misses.conditions
            and holders.collector = misses.collector
    group by
        holders.feed,
        holders.symbol,
        holders.traded_ms,
        holders.price,
        holders.size,
        holders.conditions
    having count(*) > 1 and count(*) = count(misses.collector)

)

select * from partly_held
