{#
    grain: one print, as parsed from an answer that was loaded since the last build:
    log_id, log_partition, log_offset, print_index

    The parser of what /stock/tick answers: the tape of a day, page by page, for history and for gaps.
#}
{{ config(materialized='table') }}

with new_frames as (
    {{ new_frames_for('finnhub_tick') }}
),

{{ parse_finnhub_ticks('new_frames') }},

{{ typed_prints('parsed_prints') }}

select * from typed_prints
