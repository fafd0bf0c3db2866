{# grain: one five-minute bucket of a symbol that a load changed: load_id, feed, symbol, bucket #}
{{ config(materialized='incremental', incremental_strategy='append', post_hook='{{ advance_watermark() }}') }}

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

dated_buckets as (

    select
        *,
        {{ trading_date('symbol', 'bucket') }} as trading_date
    from touched_buckets

)

select * from dated_buckets
