{#
    grain: one print, as parsed from a frame that was loaded since the last build:
    log_id, log_partition, log_offset, print_index

    The parser of every feed that speaks Finnhub's JSON: recordings are written in it too.
#}
{{ config(materialized='table') }}

with new_frames as (

    select *
    from {{ ref('recorded_frames') }}
    where
        kind in ('frame', 'raw')
        and feed in ('finnhub', 'recording', 'demo')
        and load_id > {{ watermark('prints') }}

),

{{ parse_finnhub_frames('new_frames') }},

condition_codes as (

    select distinct
        conditions_json,
        unnest(from_json(conditions_json, '["VARCHAR"]')) as code
    from parsed_prints
    where problem is null and conditions_json is not null

),

condition_sets as (

    select
        conditions_json,
        string_agg(code, ',' order by length(code), code) as conditions
    from condition_codes
    group by conditions_json

),

typed_prints as (

    select
        parsed_prints.load_id,
        parsed_prints.log_id,
        parsed_prints.log_partition,
        parsed_prints.log_offset,
        cast(parsed_prints.print_index as integer) as print_index,
        parsed_prints.feed,
        parsed_prints.session,
        parsed_prints.seq,
        coalesce(parsed_prints.symbol, '') as symbol,
        coalesce(condition_sets.conditions, '') as conditions,
        parsed_prints.problem,
        parsed_prints.frame_key,
        parsed_prints.price,
        parsed_prints.size,
        parsed_prints.traded_ms,
        parsed_prints.received_ns
    from parsed_prints
    left join condition_sets on parsed_prints.conditions_json = condition_sets.conditions_json

)

select * from typed_prints
