{#
    grain: one minute of a symbol through a lens: feed, symbol, lens, start_at

    What bars are added up from. A price counts twice over: for the interval, and for the day's bar, which
    a Form T print may not set. A print that may set open and close always counts for high and low too.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='bucket',
        post_hook='{{ advance_watermark() }}',
    )
}}

with trades as (

    select
        *,
        {{ integer_divide('traded_ms', 60000) }} as minute
    from {{ ref('trades') }}
    where {{ within_reach('bucket') }}

),

lens_conditions as (

    select * from {{ ref('lens_conditions') }}

),

seen_trades as (

    select
        trades.feed,
        trades.symbol,
        lens_conditions.lens,
        trades.bucket,
        trades.minute,
        trades.trading_date,
        trades.market_session,
        trades.order_key,
        trades.traded_ms,
        trades.price,
        trades.size,
        lens_conditions.updates_last
        and not (lens_conditions.is_extended_only and trades.market_session = 'regular') as sets_last,
        (lens_conditions.updates_high_low or lens_conditions.updates_last)
        and not (lens_conditions.is_extended_only and trades.market_session = 'regular') as sets_high_low,
        lens_conditions.updates_last and not lens_conditions.is_extended_only as sets_day_last,
        (lens_conditions.updates_high_low or lens_conditions.updates_last)
        and not lens_conditions.is_extended_only as sets_day_high_low,
        lens_conditions.updates_volume and trades.size > 0 as adds_volume
    from trades
    inner join lens_conditions on trades.conditions = lens_conditions.conditions

),

minutes as (

    select
        feed,
        symbol,
        lens,
        bucket,
        {{ ms_to_timestamp('minute * 60000') }} as start_at,
        trading_date,
        market_session,
        min_by(price, order_key) filter (where sets_last) as open,
        max(price) filter (where sets_high_low) as high,
        min(price) filter (where sets_high_low) as low,
        max_by(price, order_key) filter (where sets_last) as close,
        min_by(price, order_key) filter (where sets_day_last) as day_open,
        max(price) filter (where sets_day_high_low) as day_high,
        min(price) filter (where sets_day_high_low) as day_low,
        max_by(price, order_key) filter (where sets_day_last) as day_close,
        cast(coalesce(sum(size) filter (where adds_volume), 0) as decimal(38, 8)) as volume,
        cast(coalesce(sum(size) filter (where adds_volume and sets_high_low), 0) as decimal(38, 8)) as priced_volume,
        cast(
            coalesce(sum({{ notional('price', 'size') }}) filter (where adds_volume and sets_high_low), 0)
            as decimal(38, 16)
        ) as notional,
        cast(coalesce(sum(size) filter (where adds_volume and sets_day_high_low), 0) as decimal(38, 8)) as day_priced_volume,
        cast(
            coalesce(sum({{ notional('price', 'size') }}) filter (where adds_volume and sets_day_high_low), 0)
            as decimal(38, 16)
        ) as day_notional,
        count(*) filter (where adds_volume) as trade_count,
        {{ ms_to_timestamp('min(traded_ms)') }} as first_traded_at,
        {{ ms_to_timestamp('max(traded_ms)') }} as last_traded_at
    from seen_trades
    where adds_volume or sets_high_low
    group by feed, symbol, lens, bucket, minute, trading_date, market_session

)

select * from minutes
order by bucket, symbol, lens, start_at
