{# grain: five minutes of a symbol through a lens in which it traded: feed, symbol, lens, start_at #}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='bar',
        post_hook='{{ advance_watermark() }}',
    )
}}

with minutes as (

    select * from {{ ref('lens_minutes') }}
    where {{ within_reach('bar') }}

),

sums as (

    select
        feed,
        symbol,
        lens,
        {{ bucket_start('bucket') }} as start_at,
        min_by(open, start_at) filter (where open is not null) as open,
        max(high) as high,
        min(low) as low,
        max_by(close, start_at) filter (where close is not null) as close,
        cast(sum(volume) as decimal(38, 8)) as volume,
        cast(sum(trade_count) as bigint) as trade_count,
        cast(sum(notional) as decimal(38, 16)) as notional,
        cast(sum(priced_volume) as decimal(38, 8)) as priced_volume,
        market_session,
        trading_date,
        bucket,
        min(first_traded_at) as first_traded_at,
        max(last_traded_at) as last_traded_at
    from minutes
    group by feed, symbol, lens, bucket, market_session, trading_date

),

bars as (

    select
        feed,
        symbol,
        lens,
        start_at,
        open,
        high,
        low,
        close,
        volume,
        {{ vwap('notional', 'priced_volume', 'low', 'high') }} as vwap,
        trade_count,
        notional,
        priced_volume,
        market_session,
        trading_date,
        bucket,
        first_traded_at,
        last_traded_at
    from sums

)

select * from bars
