{# grain: one print that was loaded since the last build, judged by itself: log_id, log_partition, log_offset, print_index #}
{{ config(materialized='table') }}

{%- set earliest_ms = 631152000000 %}  {#- 1990-01-01 -#}
{%- set future_ms = 60000 %}
{%- set readers = var('parsers') + var('without_prints') %}

with parsed_prints as (

    {% for parser in var('parsers') -%}
        {{ 'union all by name' if not loop.first }}
        select * from {{ ref(parser ~ '_prints') }}
    {% endfor %}

),

recorded_frames as (

    select * from {{ ref('recorded_frames') }}
    where load_id > {{ watermark('prints') }}

),

feeds as (

    select * from {{ ref('feeds') }}

),

unparsed_frames as (

    select
        recorded_frames.load_id,
        recorded_frames.log_id,
        recorded_frames.log_partition,
        recorded_frames.log_offset,
        0 as print_index,
        recorded_frames.feed,
        recorded_frames.session,
        recorded_frames.seq,
        '' as symbol,
        '' as conditions,
        'unknown_feed' as problem,
        {{ text_key('recorded_frames.frame') }} as frame_key,
        recorded_frames.received_ns
    from recorded_frames
    left join feeds
        on
            recorded_frames.feed = feeds.feed
            and feeds.parser in ('{{ readers | join("', '") }}')
    where recorded_frames.kind <> 'control' and feeds.feed is null

),

timed_prints as (

    select
        *,
        {{ integer_divide('received_ns', 1000000) }} as received_ms
    from parsed_prints
    union all by name
    select
        *,
        {{ integer_divide('received_ns', 1000000) }} as received_ms
    from unparsed_frames

),

judged_prints as (

    select
        *,
        case
            when problem is not null then problem
            when price <= 0 then 'price_not_positive'
            when size < 0 then 'size_negative'
            when traded_ms between {{ earliest_ms }} and received_ms + {{ future_ms }} then null
            when
                traded_ms between {{ earliest_ms // 1000 }} and {{ integer_divide('received_ms + ' ~ future_ms, 1000) }}
                then 'time_in_seconds'
            when
                {{ integer_divide('traded_ms', 1000) }} between {{ earliest_ms }} and received_ms + {{ future_ms }}
                then 'time_in_microseconds'
            when traded_ms < {{ earliest_ms }} then 'time_before_1990'
            else 'time_in_future'
        end as own_reason
    from timed_prints

),

placed_prints as (

    select
        load_id,
        log_id,
        log_partition,
        log_offset,
        print_index,
        feed,
        session,
        seq,
        symbol,
        conditions,
        own_reason,
        frame_key,
        case
            when own_reason is null then cast({{ integer_divide('traded_ms', 300000) }} as integer)
            else cast({{ integer_divide('received_ms', 300000) }} as integer)
        end as bucket,
        price,
        size,
        traded_ms,
        received_ns
    from judged_prints

)

select * from placed_prints
