{#
    What is the same trade? Takes prints judged by themselves, and what their sessions said of subscriptions (feed_events);
    gives each its verdict and the reason for it.

    resent_frame       another copy of a record that is there already: one (feed, session, seq) counts once
    symbol_not_subscribed
                       its session says what it is about to ask for (`subscribing`), and never named the symbol
    suspected_repeat   the same message under two numbers of a session: flagged, and dropped only where the feed's
                       seed says so, since two that look the same may be two
    other_collector    the nth identical print of one collector is the nth of another: the first to arrive stays, so
                       that of a kind there are as many trades as the collector saw that saw most

    All copies of a print lie in one bucket, so that the verdicts of a bucket need its own prints alone. One kind does
    not: a print that is bad by itself, in a vendor's answer that was asked for again, lies where each copy was received.
#}
{% macro judge_identity(prints, events) %}
    with wishes as (

        select distinct
            feed,
            session,
            symbol,
            event = 'subscribing' as is_announced
        from {{ events }}
        where event in ('subscribing', 'subscribed') and (feed, session) in (select feed, session from {{ prints }})

    ),

    announcing_sessions as (

        select distinct
            feed,
            session
        from wishes
        where is_announced

    ),

    named_symbols as (

        select distinct
            feed,
            session,
            symbol
        from wishes

    ),

    frames as (

        select
            feed,
            session,
            seq,
            any_value(frame_key) as frame_key,
            min({{ copy_key() }}) as first_copy,
            max({{ copy_key() }}) as last_copy
        from {{ prints }}
        group by feed, session, seq

    ),

    resent_frames as (

        select
            feed,
            session,
            seq,
            first_copy
        from frames
        where first_copy <> last_copy

    ),

    repeated_keys as (

        select
            feed,
            session,
            frame_key
        from frames
        group by feed, session, frame_key
        having min(seq) <> max(seq)

    ),

    repeated_messages as (

        select
            feed,
            session,
            frame_key,
            symbol,
            bucket,
            min(seq) as first_seq
        from {{ prints }}
        where own_reason is null and (feed, session, frame_key) in (select feed, session, frame_key from repeated_keys)
        group by feed, session, frame_key, symbol, bucket

    ),

    told_apart as (

        select
            prints.*,
            feeds.drops_repeats,
            case when feeds.replays_on_reconnect then prints.session else split_part(prints.session, '/', 1) end as collector,
            coalesce({{ copy_key('prints') }} <> resent_frames.first_copy, false) as is_resent,
            prints.own_reason is null and announcing_sessions.session is not null and named_symbols.symbol is null as is_uninvited,
            prints.own_reason is null and coalesce(prints.seq > repeated_messages.first_seq, false) as is_repeated
        from {{ prints }} as prints
        left join {{ ref('feeds') }} as feeds on prints.feed = feeds.feed
        left join resent_frames
            on
                prints.feed = resent_frames.feed
                and prints.session = resent_frames.session
                and prints.seq = resent_frames.seq
        left join repeated_messages
            on
                prints.feed = repeated_messages.feed
                and prints.session = repeated_messages.session
                and prints.frame_key = repeated_messages.frame_key
                and prints.symbol = repeated_messages.symbol
                and prints.bucket = repeated_messages.bucket
        left join announcing_sessions on prints.feed = announcing_sessions.feed and prints.session = announcing_sessions.session
        left join named_symbols
            on
                prints.feed = named_symbols.feed
                and prints.session = named_symbols.session
                and prints.symbol = named_symbols.symbol

    ),

    judged_alone as (

        select
            *,
            is_repeated and not is_uninvited as is_suspected_repeat,
            case
                when is_resent then 'resent_frame'
                when own_reason is not null then own_reason
                when is_uninvited then 'symbol_not_subscribed'
                when is_repeated and drops_repeats then 'suspected_repeat'
            end as reason
        from told_apart

    ),

    shared_buckets as (

        select
            feed,
            symbol,
            bucket
        from judged_alone
        where reason is null
        group by feed, symbol, bucket
        having min(collector) <> max(collector)

    ),

    counted as (

        select
            *,
            row_number() over (
                partition by feed, symbol, traded_ms, price, size, conditions, collector
                order by received_ns, session, seq, print_index
            ) as occurrence
        from judged_alone
        where reason is null and (feed, symbol, bucket) in (select feed, symbol, bucket from shared_buckets)

    ),

    merged as (

        select
            * exclude (reason),
            case
                when row_number() over (
                    partition by feed, symbol, traded_ms, price, size, conditions, occurrence
                    order by received_ns, session, seq, print_index
                ) > 1 then 'other_collector'
            end as reason
        from counted
        union all by name
        select * from judged_alone
        where reason is not null or (feed, symbol, bucket) not in (select feed, symbol, bucket from shared_buckets)

    )

    select
        *,
        case
            when reason is null then 'trade'
            when reason in ('resent_frame', 'suspected_repeat', 'other_collector') then 'duplicate'
            else 'quarantined'
        end as verdict
    from merged
{% endmacro %}
