{#
    Minutes to bars, as a macro over relations. The auctions of a day come from its marks: no minute knows when they move.

    grain: feed, symbol, lens, start_at, of bars of `1m`, `5m` or `1d`.

    A bar is final when its feed's watermark passes its end plus the feed's grace: final_at. revision is 1, and one
    more for each minute in which something that made the bar arrived after that.
#}
{% macro bars(interval, minutes, day_marks) %}
    {%- set is_daily = interval == '1d' -%}
    {%- set day = 'day_' if is_daily else '' -%}
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
        {%- if not is_daily %}
        market_session,
        {%- endif %}
        trading_date,
        {%- if not is_daily %}
        bucket,
        {%- endif %}
        first_traded_at,
        last_traded_at,
        {{ ns_to_timestamp('final_ns') }} as final_at,
        cast(1 + coalesce({{ count_late_minutes('arrivals', 'final_ns') }}, 0) as integer) as revision
    from (
        select
            {% if is_daily -%}
            summed.* exclude (day_open, day_high, day_low, day_close),
            coalesce(day_marks.opening_price, summed.day_open) as open,
            greatest(summed.day_high, day_marks.opening_price, day_marks.closing_price) as high,
            least(summed.day_low, day_marks.opening_price, day_marks.closing_price) as low,
            coalesce(day_marks.closing_price, summed.day_close) as close,
            {%- else -%}
            summed.*,
            {%- endif %}
            {{ timestamp_to_ns(bar_end(interval)) }} + summed.grace_ns as final_ns
        from (
            select
                feed,
                symbol,
                lens,
                {{ bar_start(interval) }} as start_at,
                min_by({{ day }}open, minutes.start_at) filter (where {{ day }}open is not null) as {{ day }}open,
                max({{ day }}high) as {{ day }}high,
                min({{ day }}low) as {{ day }}low,
                max_by({{ day }}close, minutes.start_at) filter (where {{ day }}close is not null) as {{ day }}close,
                cast(sum(volume) as decimal(38, 8)) as volume,
                cast(sum(trade_count) as bigint) as trade_count,
                cast(sum({{ day }}notional) as decimal(38, 16)) as notional,
                cast(sum({{ day }}priced_volume) as decimal(38, 8)) as priced_volume,
                {%- if not is_daily %}
                market_session,
                bucket,
                {%- endif %}
                trading_date,
                min(first_traded_at) as first_traded_at,
                max(last_traded_at) as last_traded_at,
                any_value(grace_ns) as grace_ns,
                {{ gather('late_arrivals', ['opening_received_ns', 'closing_received_ns']) }} as arrivals
            from {{ minutes }} as minutes
            group by
                feed, symbol, lens, trading_date
                {{- ', market_session, bucket' if not is_daily }}{{ ', minutes.start_at' if interval == '1m' }}
        ) as summed
        {%- if is_daily %}
        left join {{ day_marks }} as day_marks
            on
                summed.feed = day_marks.feed
                and summed.symbol = day_marks.symbol
                and summed.lens = day_marks.lens
                and summed.trading_date = day_marks.trading_date
        {%- endif %}
    ) as bars
{% endmacro %}


{# When the bar of a minute begins. #}
{% macro bar_start(interval) -%}
    {%- if interval == '1m' -%}
        minutes.start_at
    {%- elif interval == '5m' -%}
        {{ bucket_start('bucket') }}
    {%- else -%}
        {{ day_start('symbol', 'trading_date') }}
    {%- endif -%}
{%- endmacro %}


{# When a bar ends, which begins at start_at. #}
{% macro bar_end(interval) -%}
    {%- if interval == '1m' -%}
        summed.start_at + interval 1 minute
    {%- elif interval == '5m' -%}
        summed.start_at + interval 5 minute
    {%- else -%}
        {{ day_start('summed.symbol', 'summed.trading_date + 1') }}
    {%- endif -%}
{%- endmacro %}


{# Midnight of a symbol's trading date in its calendar's zone, in UTC. #}
{% macro day_start(symbol, trading_date) -%}
    case
        when {{ is_continuous(symbol) }} then cast({{ trading_date }} as timestamp)
        else {{ local_to_utc('cast(' ~ trading_date ~ ' as timestamp)', time_zone(symbol)) }}
    end
{%- endmacro %}


{# How a model of bars is made anew within reach of what was touched. #}
{% macro bars_within_reach(interval, reach) %}
with minutes as (

    select * from {{ ref('lens_minutes') }}
    where {{ within_reach(reach) }}

),

bars as (
    {{ bars(interval, 'minutes', ref('day_marks')) }}
)

select * from bars
{% endmacro %}


{#
    Bars as they were known at a moment: made of what was received by then, through the same macros.

    as_of           a timestamp, UTC
    only_symbols    a list; an empty one means all
    first_date, last_date   trading dates, both included
#}
{% macro bars_as_of(interval) %}
with received_trades as (

    select * from {{ ref('trades') }}
    where
        received_ns <= {{ timestamp_to_ns('as_of') }}
        and trading_date between first_date and last_date
        and {{ is_one_of('symbol', 'only_symbols') }}

),

received_bucket_marks as (
    {{ bucket_marks('received_trades') }}
),

received_day_marks as (
    {{ day_marks('received_bucket_marks') }}
),

minutes as (
    {{ lens_minutes('received_trades', 'received_day_marks') }}
),

bars as (
    {{ bars(interval, 'minutes', 'received_day_marks') }}
),

heard as (

    select
        feed,
        session,
        max(received_ns) as last_received_ns,
        max(case when kind <> 'control' then received_ns end) as last_frame_ns
    from {{ ref('recorded_frames') }}
    where received_ns <= {{ timestamp_to_ns('as_of') }}
    group by feed, session

),

known_sessions as (

    select
        feed_sessions.feed,
        feed_sessions.session,
        feed_sessions.collector,
        feed_sessions.first_received_ns,
        case when feed_sessions.closed_ns <= {{ timestamp_to_ns('as_of') }} then feed_sessions.closed_ns end as closed_ns,
        case when feed_sessions.closed_ns <= {{ timestamp_to_ns('as_of') }} then feed_sessions.cause end as cause,
        heard.last_frame_ns
    from {{ ref('feed_sessions') }} as feed_sessions
    inner join heard on feed_sessions.feed = heard.feed and feed_sessions.session = heard.session

),

known_events as (

    select * from {{ ref('feed_events') }}
    where received_ns <= {{ timestamp_to_ns('as_of') }}

),

gaps as (
    {{ feed_gaps('known_sessions', 'known_events') }}
),

{{ tell_reader(interval, 'heard') }}
{% endmacro %}


{# The newest bars, with what only a reader can be told: whether they have a gap, and whether the feed has gone past them. #}
{% macro current_bars(interval) %}
with bars as (

    select * from {{ ref('bars_' ~ interval) }}

),

gaps as (

    select * from {{ ref('feed_gaps') }}

),

feed_sessions as (

    select * from {{ ref('feed_sessions') }}

),

{{ tell_reader(interval, 'feed_sessions') }}
{% endmacro %}


{# The end of a query with bars and gaps, and what of each connection came last (last_received_ns): whether one overlaps, and whether the feed's watermark has passed what makes a bar final. #}
{% macro tell_reader(interval, sessions) -%}
watched_bars as (
    {{ watched_bars(interval, 'bars') }}
),

watermarks as (

    select
        feed,
        max(last_received_ns) as watermark_ns
    from {{ sessions }}
    group by feed

)

select
    watched_bars.* exclude (watch_from_ns, watch_to_ns),
    exists (
        select 1
        from gaps
        where
            gaps.feed = watched_bars.feed
            and gaps.symbol = watched_bars.symbol
            and gaps.from_ns < watched_bars.watch_to_ns
            and coalesce(gaps.to_ns, 9223372036854775807) >= watched_bars.watch_from_ns
    ) as has_gap,
    {{ timestamp_to_ns('watched_bars.final_at') }} >= watermarks.watermark_ns as is_provisional
from watched_bars
inner join watermarks on watched_bars.feed = watermarks.feed
{%- endmacro %}
