{# grain: a bucket that a new version of a day's marks moved something from or to: load_id, feed, symbol, bucket #}
{{ config(materialized='view', tags=['definition']) }}

with versions as (

    select * from {{ ref('day_mark_versions') }}

),

marked_buckets as (

    select
        load_id,
        feed,
        symbol,
        lens,
        trading_date,
        [
            first_bucket,
            day_first_bucket,
            {{ integer_divide('open_ms', 300000) }},
            {{ integer_divide('close_ms - 60000', 300000) }}
        ] as buckets
    from versions

),

moved_buckets as (

    select
        load_id,
        feed,
        symbol,
        unnest(
            list_concat(
                buckets,
                lag(buckets) over (partition by feed, symbol, lens, trading_date order by load_id)
            )
        ) as bucket
    from marked_buckets

),

distinct_buckets as (

    select distinct
        load_id,
        feed,
        symbol,
        cast(bucket as integer) as bucket
    from moved_buckets
    where bucket is not null

)

select * from distinct_buckets
