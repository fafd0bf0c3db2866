{# grain: one trading day of a symbol through a lens: feed, symbol, lens, start_at #}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='day',
        post_hook='{{ advance_watermark() }}',
    )
}}

with minutes as (

    select * from {{ ref('lens_minutes') }}
    where {{ within_reach('day') }}

),

sums as (

    select
        feed,
        symbol,
        lens,
        trading_date,
        coalesce(max(day_opening_price), min_by(day_open, start_at) filter (where day_open is not null)) as open,
        greatest(max(day_high), max(day_opening_price), max(day_closing_price)) as high,
        least(min(day_low), max(day_opening_price), max(day_closing_price)) as low,
        coalesce(max(day_closing_price), max_by(day_close, start_at) filter (where day_close is not null)) as close,
        cast(sum(volume) as decimal(38, 8)) as volume,
        cast(sum(trade_count) as bigint) as trade_count,
        cast(sum(day_notional) as decimal(38, 16)) as notional,
        cast(sum(day_priced_volume) as decimal(38, 8)) as priced_volume,
        min(first_traded_at) as first_traded_at,
        max(last_traded_at) as last_traded_at
    from minutes
    group by feed, symbol, lens, trading_date

),

bars as (

    select
        feed,
        symbol,
        lens,
        case
            when {{ is_continuous('symbol') }} then cast(trading_date as timestamp)
            else {{ local_to_utc('cast(trading_date as timestamp)', "'America/New_York'") }}
        end as start_at,
        open,
        high,
        low,
        close,
        volume,
        {{ vwap('notional', 'priced_volume', 'low', 'high') }} as vwap,
        trade_count,
        notional,
        priced_volume,
        trading_date,
        first_traded_at,
        last_traded_at
    from sums

)

select * from bars
