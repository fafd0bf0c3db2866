{# Frames that were loaded since the last build, of the feeds whose parser has this name. #}
{% macro new_frames_for(parser) %}
    select *
    from {{ ref('recorded_frames') }}
    where
        kind in ('frame', 'raw')
        and feed in (select feed from {{ ref('feeds') }} where parser = '{{ parser }}')
        and load_id > {{ watermark('prints') }}
{% endmacro %}


{#
    What every parser model ends with: the columns that new_prints takes, from rows of a frame's columns and
    frame_key, print_index, symbol, traded_ms, price, size, conditions_json, problem.
#}
{% macro typed_prints(parsed_prints) %}
    condition_codes as (

        select distinct
            conditions_json,
            unnest(from_json(conditions_json, '["VARCHAR"]')) as code
        from {{ parsed_prints }}
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
            parsed.load_id,
            parsed.log_id,
            parsed.log_partition,
            parsed.log_offset,
            cast(parsed.print_index as integer) as print_index,
            parsed.feed,
            parsed.session,
            parsed.seq,
            coalesce(parsed.symbol, '') as symbol,
            coalesce(condition_sets.conditions, '') as conditions,
            parsed.problem,
            parsed.frame_key,
            parsed.price,
            parsed.size,
            parsed.traded_ms,
            parsed.received_ns
        from {{ parsed_prints }} as parsed
        left join condition_sets on parsed.conditions_json = condition_sets.conditions_json

    )
{%- endmacro %}
