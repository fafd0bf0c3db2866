{# grain: an interval in which a feed did not observe a symbol: feed, symbol, from_ns #}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='gaps',
        post_hook=['{{ advance_watermark() }}', '{{ remember_sessions() }}'],
    )
}}

with feed_sessions as (

    select * from {{ ref('feed_sessions') }}
    where {{ within_reach('gaps') }}

),

feed_events as (

    select * from {{ ref('feed_events') }}
    where {{ within_reach('gaps') }}

),

gaps as (
    {{ feed_gaps('feed_sessions', 'feed_events') }}
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
