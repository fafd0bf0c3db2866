{#
    When a symbol was not observed, as macros over relations: the model runs them on tables, `bars_*_as_of` on what was
    known by a moment. Only where somebody subscribed: a recording claims nothing about what it does not hold.

    A connection proves that it observed a symbol from when its subscription was answered to the last message that
    came, whatever came after that: one on which none ever came observed nothing. Where it gave up a symbol that was
    silent, to the moment since which it was. What no connection of the feed proves is a gap, in nanoseconds, both ends
    included; its cause is why the connection ended that had seen the most.
#}


{# grain: feed, session, symbol, from_ns: what one connection observed; it is over where nothing can lengthen it. #}
{% macro observed_spans(sessions, events) %}
    select
        turns.feed,
        turns.session,
        turns.symbol,
        turns.received_ns as from_ns,
        case
            when turns.event = 'no_slot' then turns.received_ns - 1
            else
                greatest(
                    least(coalesce(turns.next_ns - 1, ended_sessions.observed_to_ns), ended_sessions.observed_to_ns),
                    turns.received_ns - 1
                )
        end as to_ns,
        turns.event = 'no_slot' or turns.next_ns is not null or ended_sessions.is_over as is_over,
        case when turns.event = 'no_slot' then turns.event else coalesce(turns.next_cause, ended_sessions.cause) end as cause
    from (
        select
            *,
            lead(least(coalesce(since_ns, received_ns - 1), received_ns - 1) + 1) over (partition by feed, session, symbol order by seq) as next_ns,
            lead(cause) over (partition by feed, session, symbol order by seq) as next_cause
        from (
            select distinct
                feed,
                session,
                seq,
                symbol,
                event,
                cause,
                since_ns,
                received_ns
            from {{ events }}
            where event not in ('unreadable_frame', 'subscribing')
        ) as distinct_events
    ) as turns
    inner join (
        select
            feed,
            session,
            coalesce(last_frame_ns, first_received_ns - 1) as observed_to_ns,
            closed_ns is not null
            or lead(session) over (partition by feed, collector order by first_received_ns, session) is not null as is_over,
            coalesce(cause, 'collector_died') as cause
        from {{ sessions }}
    ) as ended_sessions
        on turns.feed = ended_sessions.feed and turns.session = ended_sessions.session
    where turns.event <> 'unsubscribed'
{% endmacro %}


{# grain: feed, symbol, from_ns. #}
{% macro feed_gaps(sessions, events) %}
with spans as (
    {{ observed_spans(sessions, events) }}
),

ordered_spans as (

    select
        *,
        max(row(to_ns, cause)) over (
            partition by feed, symbol order by from_ns, to_ns rows between unbounded preceding and 1 preceding
        ) as seen
    from spans

),

gaps_between as (

    select
        feed,
        symbol,
        seen[1] + 1 as from_ns,
        from_ns - 1 as to_ns,
        seen[2] as cause
    from ordered_spans
    where from_ns > seen[1] + 1

),

gaps_before as (

    select
        feed,
        symbol,
        {{ integer_divide('min(from_ns)', 86400000000000) }} * 86400000000000 as from_ns,
        min(from_ns) - 1 as to_ns,
        'not_subscribed' as cause
    from spans
    group by feed, symbol

),

gaps_after as (

    select
        feed,
        symbol,
        max(to_ns) + 1 as from_ns,
        cast(null as bigint) as to_ns,
        max_by(cause, to_ns) as cause
    from spans
    group by feed, symbol
    having bool_and(is_over)

),

unreadable_frames as (

    select distinct
        feed,
        session,
        received_ns
    from {{ events }}
    where event = 'unreadable_frame'

),

unreadable_moments as (

    select distinct
        spans.feed,
        spans.symbol,
        unreadable_frames.received_ns as from_ns,
        unreadable_frames.received_ns as to_ns,
        'unreadable_frame' as cause
    from unreadable_frames
    inner join spans
        on
            unreadable_frames.feed = spans.feed
            and unreadable_frames.session = spans.session
            and unreadable_frames.received_ns between spans.from_ns and spans.to_ns

),

gaps as (

    select * from gaps_between
    union all
    select * from gaps_before
    where from_ns <= to_ns
    union all
    select * from gaps_after
    union all
    select * from unreadable_moments

)

select * from gaps
{% endmacro %}


{#
    Feeds of which a gap can have changed since the model looked at sessions last (silver.gaps_basis): something was said
    about subscriptions, a message could not be read, a session is new, has ended, or got an older record. That a
    standing connection went on observing changes no gap, unless one begins after the last message of it that was known.
#}
{% macro feeds_with_other_gaps(watermark) -%}
    select feed from {{ ref('feed_events') }}
    where load_id > {{ watermark }}
    union
    select sessions.feed
    from {{ ref('feed_sessions') }} as sessions
    inner join {{ known_feeds() }} as known_feeds on sessions.feed = known_feeds.feed
    left join silver.gaps_basis as basis on sessions.feed = basis.feed and sessions.session = basis.session
    where
        basis.session is null
        or coalesce(sessions.cause, '') <> coalesce(basis.cause, '')
        or coalesce(sessions.closed_ns, 0) <> coalesce(basis.closed_ns, 0)
        or sessions.first_received_ns <> basis.first_received_ns
        or (
            sessions.last_frame_ns is not null
            and sessions.last_frame_ns <> coalesce(basis.last_frame_ns, 0)
            and (basis.is_over or basis.last_frame_ns is null or basis.last_frame_ns < known_feeds.newest_gap_ns)
        )
{%- endmacro %}


{# Feeds that have gaps, and where the newest of them begins. #}
{% macro known_feeds() -%}
    (
        select
            events.feed,
            max(gaps.newest_gap_ns) as newest_gap_ns
        from (select distinct feed from {{ ref('feed_events') }}) as events
        left join (
            select
                feed,
                max(from_ns) as newest_gap_ns
            from {{ this }}
            group by feed
        ) as gaps on events.feed = gaps.feed
        group by events.feed
    )
{%- endmacro %}


{# A post-hook of the gaps: the sessions that they were made of. #}
{% macro remember_sessions() %}
    delete from silver.gaps_basis;
    insert into silver.gaps_basis by name
    select
        feed,
        session,
        cause,
        closed_ns is not null
        or lead(session) over (partition by feed, collector order by first_received_ns, session) is not null as is_over,
        closed_ns,
        first_received_ns,
        last_frame_ns
    from {{ ref('feed_sessions') }}
    where feed in (select feed from {{ ref('feed_events') }})
{% endmacro %}


{# Bars with the moments between which trades can make them: of a day, from the first market to the last. #}
{% macro watched_bars(interval, bars) %}
    select
        bars.*,
        {%- if interval == '1d' %}
        {{ timestamp_to_ns('coalesce(market_days.pre_open_at, bars.start_at)') }} as watch_from_ns,
        {{ timestamp_to_ns('coalesce(market_days.post_close_at, bars.start_at + interval 1 day)') }} as watch_to_ns
    from {{ bars }} as bars
    left join {{ ref('market_days') }} as market_days
        on {{ exchange('bars.symbol') }} = market_days.exchange and bars.trading_date = market_days.trading_date
        {%- else %}
        {{ timestamp_to_ns('bars.start_at') }} as watch_from_ns,
        {{ timestamp_to_ns('bars.start_at + interval ' ~ ('1' if interval == '1m' else '5') ~ ' minute') }} as watch_to_ns
    from {{ bars }} as bars
        {%- endif %}
{% endmacro %}
