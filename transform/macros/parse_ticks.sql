{#
    Answers of Finnhub's /stock/tick to prints: arrays side by side, `p`, `v`, `t`, `c`, a place in each for a print.
    Digits are taken from the text: no number passes through a binary float.

    malformed           the whole answer: no object, no symbol, arrays that differ in length, texts or lists for numbers;
                        or one print: null for a number, a time that is not whole, codes that are none
    duplicate_keys      a key twice
    not_representable   one print: digits that do not fit decimal(18, 8); or the whole answer: its keys are not found in
                        its text exactly once, so that no digits can be attributed
#}

{% macro parse_finnhub_ticks(frames) -%}
    {{ return(adapter.dispatch('parse_finnhub_ticks')(frames)) }}
{%- endmacro %}

{% macro duckdb__parse_finnhub_ticks(frames) %}
    {%- set columns = 'load_id, log_id, log_partition, log_offset, feed, session, seq, received_ns, frame_key' -%}

    shaped_answers as (

        select
            *,
            {{ text_key('frame') }} as frame_key,
            json_type(frame, ['$', '$.s', '$.c', '$.p', '$.v', '$.t']) as types,
            json_keys(frame) as keys,
            frame ->> '$.s' as symbol,
            json_extract(frame, '$.c[*]') as conditions,
            trim({{ array_text('frame', 'p') }}, ' ' || chr(9)) as prices,
            trim({{ array_text('frame', 'v') }}, ' ' || chr(9)) as sizes,
            trim({{ array_text('frame', 't') }}, ' ' || chr(9)) as times
        from {{ frames }}

    ),

    answers as (

        select
            *,
            case
                when kind = 'raw' or types[1] <> 'OBJECT' then 'malformed'
                when len(keys) <> len(list_distinct(keys)) then 'duplicate_keys'
                when coalesce(types[2], '') <> 'VARCHAR' or symbol = '' then 'malformed'
                when types[4:] = ['NULL', 'NULL', 'NULL'] then 'empty'
                when types[4:] <> ['ARRAY', 'ARRAY', 'ARRAY'] then 'malformed'
                when coalesce(types[3], 'NULL') not in ('NULL', 'ARRAY') then 'malformed'
                when contains(frame, '\') then 'not_representable'
                {%- for key in 'pvt' %}
                when len(regexp_extract_all(frame, '"{{ key }}"\s*:')) <> 1 then 'not_representable'
                {%- endfor %}
                when regexp_matches(prices || sizes || times, '["\[{]') then 'malformed'
                when {{ count_members('prices') }} <> {{ count_members('sizes') }} then 'malformed'
                when {{ count_members('prices') }} <> {{ count_members('times') }} then 'malformed'
                when types[3] = 'ARRAY' and {{ count_members('prices') }} <> len(conditions) then 'malformed'
                when prices = '' then 'empty'
            end as answer_problem
        from shaped_answers

    ),

    answered_ticks as (

        select
            {{ columns }},
            symbol,
            unnest(range({{ count_members('prices') }})) as print_index,
            unnest(string_split(prices, ',')) as price_text,
            unnest(string_split(sizes, ',')) as size_text,
            unnest(string_split(times, ',')) as time_text,
            unnest(conditions) as conditions_json
        from answers
        where answer_problem is null

    ),

    trimmed_ticks as (

        select
            * replace (
                trim(price_text, ' ' || chr(9)) as price_text,
                trim(size_text, ' ' || chr(9)) as size_text,
                trim(time_text, ' ' || chr(9)) as time_text
            )
        from answered_ticks

    ),

    typed_ticks as (

        select
            *,
            {{ exact_decimal('price_text') }} as price,
            {{ exact_decimal('size_text') }} as size,
            {{ exact_integer('time_text') }} as traded_ms
        from trimmed_ticks

    ),

    parsed_prints as (

        select
            {{ columns }},
            print_index,
            symbol,
            traded_ms,
            price,
            size,
            conditions_json,
            case
                when not regexp_matches(price_text, '^[-0-9]') then 'malformed'
                when not regexp_matches(size_text, '^[-0-9]') then 'malformed'
                when traded_ms is null then 'malformed'
                when
                    json_type(conditions_json) <> 'NULL'
                    and not regexp_full_match(conditions_json, '\[(?:"[0-9A-Za-z]{1,8}"(?:,"[0-9A-Za-z]{1,8}")*)?\]')
                    then 'malformed'
                when price is null or size is null then 'not_representable'
            end as problem
        from typed_ticks
        union all by name
        select {{ columns }}, 0 as print_index, answer_problem as problem
        from answers
        where answer_problem <> 'empty'

    )
{%- endmacro %}


{# The text between the brackets of an array of numbers, as it was written. #}
{% macro array_text(json_text, key) -%}
    regexp_extract({{ json_text }}, '"{{ key }}"\s*:\s*\[([^\]]*)\]', 1)
{%- endmacro %}


{# How many members the text of an array of numbers has. #}
{% macro count_members(members_text) -%}
    case when {{ members_text }} = '' then 0 else length({{ members_text }}) - length(replace({{ members_text }}, ',', '')) + 1 end
{%- endmacro %}


{# The decimal(18, 8) that a JSON number's text says exactly; null where it does not fit, or is no number. #}
{% macro exact_decimal(number_text) -%}
    case
        when regexp_full_match({{ number_text }}, '-?[0-9]{1,10}(?:\.[0-9]{1,8})?') then try_cast({{ number_text }} as decimal(18, 8))
        when regexp_full_match({{ number_text }}, '-?[0.]+(?:[eE].*)?') then 0
        when {{ decimals_needed(number_text) }} <= 8 then try_cast({{ number_text }} as decimal(18, 8))
    end
{%- endmacro %}


{# The whole number of at most eighteen digits that a JSON number's text says; null where it says another, or none. #}
{% macro exact_integer(number_text) -%}
    case
        when regexp_full_match({{ number_text }}, '-?[0-9]{1,18}') then try_cast({{ number_text }} as bigint)
        when regexp_full_match({{ number_text }}, '-?[0.]+(?:[eE].*)?') then 0
        when {{ decimals_needed(number_text) }} <= 0 and abs(try_cast({{ number_text }} as decimal(38, 0))) < 1000000000000000000
            then try_cast(try_cast({{ number_text }} as decimal(38, 0)) as bigint)
    end
{%- endmacro %}
