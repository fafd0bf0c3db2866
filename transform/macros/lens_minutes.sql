{#
    Trades to minutes, as macros over relations: the models run them on tables, `bars_*_as_of` on what was received
    by a moment.

    trades ─▶ bucket_marks ─▶ day_marks ─▶ lens_minutes ─▶ bars (bars.sql)
       └───────────────────────────────────────▲
#}


{#
    Trades through each lens: what each may set. A price counts twice over: for the interval, and for the day's bar,
    which a Form T print may not set.
    One that is `is_first_only` may set open and close only if it is the first of the day that may.
#}
{% macro seen_trades(trades) %}
    select
        trades.feed,
        trades.symbol,
        trades.bucket,
        trades.trading_date,
        trades.market_session,
        trades.order_key,
        trades.traded_ms,
        trades.received_ns,
        trades.price,
        trades.size,
        lens_conditions.lens,
        lens_conditions.is_opening_auction,
        lens_conditions.is_closing_auction,
        lens_conditions.is_first_only,
        lens_conditions.updates_last
        and not (lens_conditions.is_extended_only and trades.market_session = 'regular') as may_set_last,
        lens_conditions.updates_high_low
        and not (lens_conditions.is_extended_only and trades.market_session = 'regular') as sets_high_low,
        lens_conditions.updates_last and not lens_conditions.is_extended_only as may_set_day_last,
        lens_conditions.updates_high_low
        and not lens_conditions.is_extended_only as sets_day_high_low,
        lens_conditions.updates_volume and trades.size > 0 as adds_volume
    from {{ trades }} as trades
    inner join {{ ref('lens_conditions') }} as lens_conditions on trades.conditions = lens_conditions.conditions
{% endmacro %}


{# grain: feed, symbol, lens, bucket. The bucket's candidates for the day's first print and for the auctions. #}
{% macro bucket_marks(trades) %}
    select
        seen_trades.feed,
        seen_trades.symbol,
        seen_trades.lens,
        seen_trades.bucket,
        seen_trades.trading_date,
        min(seen_trades.order_key) filter (where seen_trades.may_set_last) as first_key,
        min(seen_trades.order_key) filter (where seen_trades.may_set_day_last) as day_first_key,
        max(row(seen_trades.size, -seen_trades.order_key, seen_trades.price, seen_trades.received_ns)) filter (
            where
            seen_trades.is_opening_auction
            and seen_trades.traded_ms >= {{ timestamp_to_ms('market_days.open_at') }} - 300000
            and seen_trades.traded_ms < {{ timestamp_to_ms('market_days.open_at') }} + 1800000
        ) as opening,
        max(row(seen_trades.size, -seen_trades.order_key, seen_trades.price, seen_trades.received_ns)) filter (
            where
            seen_trades.is_closing_auction
            and seen_trades.traded_ms >= {{ timestamp_to_ms('market_days.close_at') }}
            and seen_trades.traded_ms < {{ timestamp_to_ms('market_days.close_at') }} + 1800000
        ) as closing
    from ({{ seen_trades(trades) }}) as seen_trades
    left join {{ ref('market_days') }} as market_days
        on seen_trades.trading_date = market_days.trading_date and {{ exchange('seen_trades.symbol') }} = market_days.exchange
    group by seen_trades.feed, seen_trades.symbol, seen_trades.lens, seen_trades.bucket, seen_trades.trading_date
{% endmacro %}


{#
    grain: feed, symbol, lens, trading_date. The day's first print that may set open and close (for intervals and
    for the day), and the auctions: the largest print, the earliest of equals. With the bucket that each changes.
#}
{% macro day_marks(bucket_marks) %}
    select
        day.feed,
        day.symbol,
        day.lens,
        day.trading_date,
        day.first_key,
        day.day_first_key,
        day.opening[3] as opening_price,
        day.closing[3] as closing_price,
        day.opening[4] as opening_received_ns,
        day.closing[4] as closing_received_ns,
        {{ integer_divide(integer_divide('day.first_key', 1048576), 300000) }} as first_bucket,
        {{ integer_divide(integer_divide('day.day_first_key', 1048576), 300000) }} as day_first_bucket,
        case when day.opening is not null then {{ timestamp_to_ms('market_days.open_at') }} end as open_ms,
        case when day.closing is not null then {{ timestamp_to_ms('market_days.close_at') }} end as close_ms
    from (
        select
            feed,
            symbol,
            lens,
            trading_date,
            min(first_key) as first_key,
            min(day_first_key) as day_first_key,
            max(opening) as opening,
            max(closing) as closing
        from {{ bucket_marks }}
        group by feed, symbol, lens, trading_date
    ) as day
    left join {{ ref('market_days') }} as market_days
        on day.trading_date = market_days.trading_date and {{ exchange('day.symbol') }} = market_days.exchange
{% endmacro %}


{# grain: feed, symbol, lens, start_at. What bars are added up from. #}
{% macro lens_minutes(trades, day_marks) %}
    select
        ruled.feed,
        ruled.symbol,
        ruled.lens,
        ruled.bucket,
        {{ ms_to_timestamp('ruled.minute * 60000') }} as start_at,
        ruled.trading_date,
        ruled.market_session,
        coalesce(
            any_value(ruled.opening_price) filter (where ruled.open_ms = ruled.minute * 60000),
            min_by(ruled.price, ruled.order_key) filter (where ruled.sets_last)
        ) as open,
        greatest(
            max(ruled.price) filter (where ruled.sets_high_low),
            any_value(ruled.opening_price) filter (where ruled.open_ms = ruled.minute * 60000),
            any_value(ruled.closing_price) filter (where ruled.close_ms = (ruled.minute + 1) * 60000)
        ) as high,
        least(
            min(ruled.price) filter (where ruled.sets_high_low),
            any_value(ruled.opening_price) filter (where ruled.open_ms = ruled.minute * 60000),
            any_value(ruled.closing_price) filter (where ruled.close_ms = (ruled.minute + 1) * 60000)
        ) as low,
        coalesce(
            any_value(ruled.closing_price) filter (where ruled.close_ms = (ruled.minute + 1) * 60000),
            max_by(ruled.price, ruled.order_key) filter (where ruled.sets_last)
        ) as close,
        min_by(ruled.price, ruled.order_key) filter (where ruled.sets_day_last) as day_open,
        max(ruled.price) filter (where ruled.sets_day_high_low) as day_high,
        min(ruled.price) filter (where ruled.sets_day_high_low) as day_low,
        max_by(ruled.price, ruled.order_key) filter (where ruled.sets_day_last) as day_close,
        cast(coalesce(sum(ruled.size) filter (where ruled.adds_volume), 0) as decimal(38, 8)) as volume,
        cast(
            coalesce(sum(ruled.size) filter (where ruled.adds_volume and ruled.sets_high_low), 0) as decimal(38, 8)
        ) as priced_volume,
        cast(
            coalesce(sum({{ notional('ruled.price', 'ruled.size') }}) filter (where ruled.adds_volume and ruled.sets_high_low), 0)
            as decimal(38, 16)
        ) as notional,
        cast(
            coalesce(sum(ruled.size) filter (where ruled.adds_volume and ruled.sets_day_high_low), 0) as decimal(38, 8)
        ) as day_priced_volume,
        cast(
            coalesce(sum({{ notional('ruled.price', 'ruled.size') }}) filter (where ruled.adds_volume and ruled.sets_day_high_low), 0)
            as decimal(38, 16)
        ) as day_notional,
        count(*) filter (where ruled.adds_volume) as trade_count,
        {{ ms_to_timestamp('min(ruled.traded_ms)') }} as first_traded_at,
        {{ ms_to_timestamp('max(ruled.traded_ms)') }} as last_traded_at,
        any_value(ruled.grace_ns) as grace_ns,
        {{ late_arrivals('ruled.received_ns', '(ruled.minute + 1) * 60000000000 + ruled.grace_ns') }} as late_arrivals,
        any_value(ruled.opening_received_ns) filter (where ruled.open_ms = ruled.minute * 60000) as opening_received_ns,
        any_value(ruled.closing_received_ns) filter (where ruled.close_ms = (ruled.minute + 1) * 60000) as closing_received_ns
    from (
        select
            seen_trades.*,
            {{ integer_divide('seen_trades.traded_ms', 60000) }} as minute,
            seen_trades.may_set_last
            and (not seen_trades.is_first_only or seen_trades.order_key = day_marks.first_key) as sets_last,
            seen_trades.may_set_day_last
            and (not seen_trades.is_first_only or seen_trades.order_key = day_marks.day_first_key) as sets_day_last,
            day_marks.opening_price,
            day_marks.closing_price,
            day_marks.opening_received_ns,
            day_marks.closing_received_ns,
            day_marks.open_ms,
            day_marks.close_ms,
            cast(feeds.grace_seconds as bigint) * 1000000000 as grace_ns
        from ({{ seen_trades(trades) }}) as seen_trades
        inner join {{ ref('feeds') }} as feeds on seen_trades.feed = feeds.feed
        left join {{ day_marks }} as day_marks
            on
                seen_trades.feed = day_marks.feed
                and seen_trades.symbol = day_marks.symbol
                and seen_trades.lens = day_marks.lens
                and seen_trades.trading_date = day_marks.trading_date
    ) as ruled
    where ruled.adds_volume or ruled.sets_high_low
    group by ruled.feed, ruled.symbol, ruled.lens, ruled.bucket, ruled.minute, ruled.trading_date, ruled.market_session
{% endmacro %}
