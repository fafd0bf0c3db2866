{# grain: one minute of a symbol through a lens in which it traded: feed, symbol, lens, start_at #}
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
    from minutes

)

select * from bars
