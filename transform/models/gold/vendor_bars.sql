{#
    grain: one bar that a vendor computed: feed, symbol, resolution, start_at

    Never mixed with ours. What was answered last counts.
#}
{{ config(materialized='view', tags=['definition']) }}

with answers as (

    select * from {{ ref('vendor_answers') }}
    where feed = 'finnhub_candle' and status = 'read'

),

told_candles as (

    select
        feed,
        session,
        symbol,
        resolution,
        path,
        received_ns,
        unnest(candles['o']) as open,
        unnest(candles['h']) as high,
        unnest(candles['l']) as low,
        unnest(candles['c']) as close,
        unnest(candles['v']) as volume,
        unnest(candles['t']) as second,
        generate_subscripts(candles['t'], 1) as position
    from answers

),

newest_candles as (

    select * from told_candles
    qualify
        row_number() over (
            partition by feed, symbol, resolution, second order by received_ns desc, session desc, position desc
        ) = 1

),

vendor_bars as (

    select
        feed,
        symbol,
        resolution,
        {{ ms_to_timestamp('second * 1000') }} as start_at,
        open,
        high,
        low,
        close,
        volume,
        path as source,
        {{ ns_to_timestamp('received_ns') }} as received_at
    from newest_candles

)

select * from vendor_bars
