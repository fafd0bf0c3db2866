{#
    grain: what one record of a connection says about observing a symbol: feed, session, seq, symbol, in each copy

    A frame that cannot be read names no symbol: its symbol is empty, and it speaks of all.
    What is no symbol's name, or no number, where one belongs, says nothing.
    A symbol that was given up because it was silent was observed until since_ns, and no longer.
#}
{{ config(materialized='incremental', incremental_strategy='append', post_hook='{{ advance_watermark() }}') }}

with new_controls as (

    select
        load_id,
        feed,
        session,
        seq,
        received_ns,
        control,
        control ->> '$.type' as control_type,
        control ->> '$.cause' as cause,
        try_cast(control ->> '$.since_ns' as bigint) as since_ns
    from {{ ref('recorded_frames') }}
    where kind = 'control' and load_id > {{ watermark('feed_events') }}

),

new_prints as (

    select * from {{ ref('new_prints') }}
    where load_id > {{ watermark('feed_events') }}

),

told_names as (

    select
        * exclude (control),
        control_type as event,
        unnest(json_extract(control, '$.symbols[*]')) as name
    from new_controls
    where control_type in ('subscribing', 'subscribed', 'unsubscribed')
    union all by name
    select
        * exclude (control),
        'no_slot' as event,
        unnest(json_extract(control, '$.without_slot[*]')) as name
    from new_controls
    where control_type = 'subscribed'

),

named_symbols as (

    select
        load_id,
        feed,
        session,
        seq,
        name ->> '$' as symbol,
        event,
        cause,
        since_ns,
        received_ns
    from told_names
    where json_type(name) = 'VARCHAR' and name ->> '$' <> ''

),

unreadable_frames as (

    select distinct
        load_id,
        feed,
        session,
        seq,
        symbol,
        'unreadable_frame' as event,
        cast(null as varchar) as cause,
        cast(null as bigint) as since_ns,
        received_ns
    from new_prints
    where symbol = ''

),

events as (

    select * from named_symbols
    union all
    select * from unreadable_frames

)

select * from events
