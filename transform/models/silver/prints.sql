{# grain: one print with its verdict: log_id, log_partition, log_offset, print_index #}
-- depends_on: {{ ref('touched') }}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='bucket',
        post_hook='{{ advance_watermark() }}',
    )
}}

with new_prints as (

    select * from {{ ref('new_prints') }}

),

market_days as (

    select * from {{ ref('market_days') }}

),

feed_events as (

    select * from {{ ref('feed_events') }}

),

prints_to_judge as (

    select * from new_prints
    {% if is_incremental() -%}
    union all by name
    select
        log_id,
        log_partition,
        log_offset,
        print_index,
        load_id,
        feed,
        session,
        seq,
        symbol,
        conditions,
        own_reason,
        frame_key,
        bucket,
        price,
        size,
        traded_ms,
        received_ns
    from {{ this }}
    where {{ within_reach('bucket') }}
    {%- endif %}

),

judged_prints as (
    {{ judge_identity('prints_to_judge', 'feed_events') }}
),

ordered_prints as (

    select
        *,
        traded_ms * 1048576 + row_number() over (
            partition by feed, symbol, traded_ms, verdict
            order by received_ns, session, seq, print_index, log_id, log_partition, log_offset
        ) as order_key
    from judged_prints
    where verdict = 'trade'
    union all by name
    select
        *,
        cast(null as bigint) as order_key
    from judged_prints
    where verdict <> 'trade'

),

seen_buckets as (

    select distinct
        symbol,
        bucket
    from ordered_prints

),

placed_buckets as (

    select distinct
        bucket,
        {{ exchange('symbol') }} as exchange,
        {{ bucket_start('bucket') }} as start_at,
        {{ trading_date('symbol', 'bucket') }} as trading_date
    from seen_buckets

),

labelled_buckets as (

    select
        placed_buckets.bucket,
        placed_buckets.exchange,
        placed_buckets.trading_date,
        case
            when placed_buckets.exchange = 'continuous' then 'continuous'
            when placed_buckets.start_at < market_days.open_at then 'pre'
            when placed_buckets.start_at < market_days.close_at then 'regular'
            when market_days.close_at is not null then 'post'
            else 'closed'
        end as market_session
    from placed_buckets
    left join market_days
        on
            placed_buckets.exchange = market_days.exchange
            and placed_buckets.start_at >= market_days.pre_open_at
            and placed_buckets.start_at < market_days.post_close_at

),

final as (

    select
        ordered_prints.log_id,
        ordered_prints.log_partition,
        ordered_prints.log_offset,
        ordered_prints.print_index,
        ordered_prints.load_id,
        ordered_prints.feed,
        ordered_prints.symbol,
        ordered_prints.bucket,
        ordered_prints.session,
        ordered_prints.seq,
        ordered_prints.order_key,
        ordered_prints.conditions,
        ordered_prints.collector,
        ordered_prints.occurrence,
        ordered_prints.verdict,
        ordered_prints.reason,
        ordered_prints.own_reason,
        ordered_prints.is_suspected_repeat,
        ordered_prints.frame_key,
        labelled_buckets.market_session,
        ordered_prints.price,
        ordered_prints.size,
        labelled_buckets.trading_date,
        ordered_prints.traded_ms,
        ordered_prints.received_ns
    from ordered_prints
    inner join labelled_buckets
        on
            ordered_prints.bucket = labelled_buckets.bucket
            and {{ exchange('ordered_prints.symbol') }} = labelled_buckets.exchange
    order by ordered_prints.bucket, ordered_prints.symbol, ordered_prints.order_key

)

select * from final
