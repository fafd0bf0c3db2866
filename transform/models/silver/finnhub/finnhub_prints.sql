{#
    grain: one print, as parsed from a frame that was loaded since the last build:
    log_id, log_partition, log_offset, print_index

    The parser of every feed that speaks Finnhub's JSON: recordings are written in it too.
#}
{{ config(materialized='table') }}

with new_frames as (
    {{ new_frames_for('finnhub') }}
),

{{ parse_finnhub_frames('new_frames') }},

{{ typed_prints('parsed_prints') }}

select * from typed_prints
