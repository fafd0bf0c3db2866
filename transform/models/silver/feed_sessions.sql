{# grain: one connection of a feed, from its first record to its last: feed, session #}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='session',
        post_hook='{{ advance_watermark() }}',
    )
}}

with new_records as (

    select * from {{ ref('recorded_frames') }}
    where load_id > {{ watermark('feed_sessions') }}

),

new_sessions as (

    select
        feed,
        session,
        min(case when control ->> '$.type' = 'session_opened' then received_ns end) as opened_ns,
        min(case when control ->> '$.type' = 'session_closed' then received_ns end) as closed_ns,
        min(case when control ->> '$.type' = 'session_closed' then control ->> '$.cause' end) as cause,
        min(seq) as first_seq,
        max(seq) as last_seq,
        min(received_ns) as first_received_ns,
        max(received_ns) as last_received_ns,
        max(case when kind <> 'control' then received_ns end) as last_frame_ns
    from new_records
    group by feed, session

),

known_sessions as (

    select * from new_sessions
    {% if is_incremental() -%}
    union all by name
    select
        feed,
        session,
        opened_ns,
        closed_ns,
        cause,
        first_seq,
        last_seq,
        first_received_ns,
        last_received_ns,
        last_frame_ns
    from {{ this }}
    where {{ within_reach('session') }}
    {%- endif %}

),

merged_sessions as (

    select
        feed,
        session,
        split_part(session, '/', 1) as collector,
        min(cause) as cause,
        min(first_seq) as first_seq,
        max(last_seq) as last_seq,
        min(opened_ns) as opened_ns,
        min(closed_ns) as closed_ns,
        min(first_received_ns) as first_received_ns,
        max(last_received_ns) as last_received_ns,
        max(last_frame_ns) as last_frame_ns
    from known_sessions
    group by feed, session

)

select * from merged_sessions
