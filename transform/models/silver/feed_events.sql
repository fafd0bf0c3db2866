{#
    grain: what one record of a connection says about observing a symbol: feed, session, seq, symbol, in each copy

    A frame that cannot be read names no symbol: its symbol is empty, and it speaks of all.
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
        cast(control ->> '$.since_ns' as bigint) as since_ns
    from {{ ref('recorded_frames') }}
    where kind = 'control' and load_id > {{ watermark('feed_events') }}

),

new_prints as (

    select * from {{ ref('new_prints') }}
    where load_id > {{ watermark('feed_events') }}

),

named_symbols as (

    select
        load_id,
        feed,
        session,
        seq,
        unnest(from_json(control -> '$.symbols', '["VARCHAR"]')) as symbol,
        control_type as event,
        cause,
        since_ns,
        received_ns
    from new_controls
    where control_type in ('subscribing', 'subscribed', 'unsubscribed')

),

symbols_without_slot as (

    select
        load_id,
        feed,
        session,
        seq,
        unnest(from_json(control -> '$.without_slot', '["VARCHAR"]')) as symbol,
        'no_slot' as event,
        cause,
        since_ns,
        received_ns
    from new_controls
    where control_type = 'subscribed'

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
    select * from symbols_without_slot
    union all
    select * from unreadable_frames

)

select * from events
