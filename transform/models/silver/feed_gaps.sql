{# grain: an interval in which a feed did not observe a symbol: feed, symbol, from_ns #}
{{ config(materialized='table') }}

with gaps as (
    {{ feed_gaps(ref('feed_sessions'), ref('feed_events')) }}
),

timed_gaps as (

    select
        *,
        {{ ns_to_timestamp('from_ns') }} as from_at,
        {{ ns_to_timestamp('to_ns') }} as to_at
    from gaps

)

select * from timed_gaps
order by feed, symbol, from_ns
