{#
    grain: one five-minute bucket of a symbol that a load changed: load_id, feed, symbol, bucket

    By its prints; and by what it says about the subscriptions of a session whose prints came in an earlier load.
#}
{{ config(materialized='incremental', incremental_strategy='append', post_hook='{{ advance_watermark() }}') }}

{%- set wishes = ref('feed_events') %}  {#- outside the branch, so that dbt sees the ref -#}
{%- set judged_prints = adapter.get_relation(target.database, 'silver', 'prints') if is_incremental() %}

with new_prints as (

    select * from {{ ref('new_prints') }}
    where load_id > {{ watermark('touched') }}

),

touched_buckets as (

    select distinct
        load_id,
        feed,
        symbol,
        bucket
    from new_prints

),

{% if judged_prints -%}
rejudged_buckets as (
    {{ rejudged_buckets(judged_prints, wishes) }}
),
{%- endif %}

changed_buckets as (

    select * from touched_buckets
    {% if judged_prints -%}
    union distinct
    select * from rejudged_buckets
    {%- endif %}

),

dated_buckets as (

    select
        *,
        {{ trading_date('symbol', 'bucket') }} as trading_date
    from changed_buckets

)

select * from dated_buckets
