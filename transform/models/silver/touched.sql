{#
    grain: one five-minute bucket of a symbol that a load changed: load_id, feed, symbol, bucket

    By its prints; and by what it says about the subscriptions of a session whose prints came in an earlier load.
#}
{{ config(materialized='incremental', incremental_strategy='append', post_hook='{{ advance_watermark() }}') }}

{%- set judged_prints = adapter.get_relation(target.database, 'silver', 'prints') if is_incremental() %}

with new_prints as (

    select * from {{ ref('new_prints') }}
    where load_id > {{ watermark('touched') }}

),

feed_events as (

    select * from {{ ref('feed_events') }}
    where event in ('subscribing', 'subscribed')

),

touched_buckets as (

    select
        load_id,
        feed,
        symbol,
        bucket
    from new_prints
    {% if judged_prints -%}
    union distinct
    {{ rejudged_buckets(judged_prints, 'feed_events') }}
    {%- else -%}
    group by load_id, feed, symbol, bucket
    {%- endif %}

),

dated_buckets as (

    select
        *,
        {{ trading_date('symbol', 'bucket') }} as trading_date
    from touched_buckets

)

select * from dated_buckets
