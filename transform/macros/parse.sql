{#
    Finnhub's messages to prints, on text: digits never pass through a binary float.

    Plain frames (the two key orders that were seen on the wire, numbers that fit) take the fast way: the pattern
    proves that nothing can go wrong. All others take the careful way, where each doubt has a name:

    malformed           not a trade: not JSON, not an object, a field missing or of another type
    duplicate_keys      one object names a key twice: which one is meant cannot be known
    not_representable   digits that do not fit decimal(18, 8), or that cannot be attributed to their print
#}

{% macro plain_frame_pattern() -%}
    {%- set number = '[0-9]{1,10}(?:\\.[0-9]{1,8})?' -%}
    {%- set symbol = '"[!#-\\[\\]-~]{1,64}"' -%}
    {%- set time = '[0-9]{1,16}' -%}
    {%- set codes = '(?:null|\\[(?:"[0-9]{1,3}"(?:,"[0-9]{1,3}")*)?\\])' -%}
    {%- set by_name = '\\{(?:"c":' ~ codes ~ ',)?"p":' ~ number ~ ',"s":' ~ symbol ~ ',"t":' ~ time ~ ',"v":' ~ number ~ '\\}' -%}
    {%- set by_habit = '\\{"s":' ~ symbol ~ ',"p":' ~ number ~ ',"t":' ~ time ~ ',"v":' ~ number ~ '(?:,"c":' ~ codes ~ ')?\\}' -%}
    {%- set print = '(?:' ~ by_name ~ '|' ~ by_habit ~ ')' -%}
    {%- set data = '"data":\\[' ~ print ~ '(?:,' ~ print ~ ')*\\]' -%}
    \{(?:{{ data }},"type":"trade"|"type":"trade",{{ data }})\}
{%- endmacro %}


{#
    Takes a relation of frames (kind, frame), gives one row a print:
    the frame's columns and its frame_key, print_index, symbol, traded_ms, price, size, conditions_json, problem.
#}
{% macro parse_finnhub_frames(frames) -%}
    {{ return(adapter.dispatch('parse_finnhub_frames')(frames)) }}
{%- endmacro %}

{% macro duckdb__parse_finnhub_frames(frames) %}
    {%- set columns = 'load_id, log_id, log_partition, log_offset, feed, session, seq, received_ns, frame_key' -%}
    {%- set numbers = "('UBIGINT', 'BIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE')" -%}

    sorted_frames as (

        select
            *,
            {{ text_key('frame') }} as frame_key,
            kind = 'frame' and regexp_full_match(frame, '{{ plain_frame_pattern() }}') as is_plain
        from {{ frames }}

    ),

    plain_messages as (

        select
            {{ columns }},
            from_json(
                frame,
                '{"data":[{"s":"VARCHAR","p":"DECIMAL(18,8)","t":"BIGINT","v":"DECIMAL(18,8)","c":"JSON"}]}'
            ).data as data
        from sorted_frames
        where is_plain

    ),

    plain_prints as (

        select
            {{ columns }},
            generate_subscripts(data, 1) - 1 as print_index,
            unnest(data) as item
        from plain_messages

    ),

    careful_messages as (

        select
            {{ columns }},
            frame,
            case
                when kind = 'raw' then 'malformed'
                when json_type(frame) <> 'OBJECT' then 'malformed'
                when len(json_keys(frame)) <> len(list_distinct(json_keys(frame))) then 'duplicate_keys'
                when coalesce(json_type(frame, '$.type'), '') <> 'VARCHAR' then 'malformed'
                when frame ->> '$.type' = 'trade' and coalesce(json_type(frame, '$.data'), '') <> 'ARRAY' then 'malformed'
            end as problem
        from sorted_frames
        where not is_plain

    ),

    careful_trades as (

        select
            *,
            json_extract(frame, '$.data[*]') as items,
            from_json(
                frame,
                '{"data":[{"s":"VARCHAR","p":"DECIMAL(38,20)","t":"DECIMAL(38,8)","v":"DECIMAL(38,20)","c":"JSON"}]}'
            ).data as data,
            regexp_extract_all(frame, '"p"\s*:\s*(-?[0-9][-+0-9.eE]*)', 1) as price_texts,
            regexp_extract_all(frame, '"v"\s*:\s*(-?[0-9][-+0-9.eE]*)', 1) as size_texts,
            regexp_matches(frame, '0{11}|9{11}|[eE]-') as has_long_digits
        from careful_messages
        where problem is null and frame ->> '$.type' = 'trade'

    ),

    careful_items as (

        select
            {{ columns }},
            generate_subscripts(items, 1) - 1 as print_index,
            unnest(items) as json_item,
            unnest(data) as item,
            has_long_digits,
            len(price_texts) = len(items) and len(size_texts) = len(items) as is_attributable,
            unnest(list_resize(price_texts, len(items))) as price_text,
            unnest(list_resize(size_texts, len(items))) as size_text
        from careful_trades

    ),

    careful_prints as (

        select
            {{ columns }},
            print_index,
            item.s as symbol,
            try_cast(item.t as bigint) as traded_ms,
            try_cast(item.p as decimal(18, 8)) as price,
            try_cast(item.v as decimal(18, 8)) as size,
            item.c as conditions_json,
            case
                when json_type(json_item) <> 'OBJECT' then 'malformed'
                when len(json_keys(json_item)) <> len(list_distinct(json_keys(json_item))) then 'duplicate_keys'
                when coalesce(json_type(json_item, '$.s'), '') <> 'VARCHAR' or item.s = '' then 'malformed'
                when coalesce(json_type(json_item, '$.t'), '') not in {{ numbers }} then 'malformed'
                when coalesce(json_type(json_item, '$.p'), '') not in {{ numbers }} then 'malformed'
                when coalesce(json_type(json_item, '$.v'), '') not in {{ numbers }} then 'malformed'
                when item.t is null or item.t <> floor(item.t) or abs(item.t) >= 1e18 then 'malformed'
                when
                    item.c is not null
                    and json_type(item.c) <> 'NULL'
                    and not regexp_full_match(item.c, '\[(?:"[0-9A-Za-z]{1,8}"(?:,"[0-9A-Za-z]{1,8}")*)?\]')
                    then 'malformed'
                when
                    item.p is null
                    or item.v is null
                    or coalesce(item.p <> cast(try_cast(item.p as decimal(18, 8)) as decimal(38, 20)), true)
                    or coalesce(item.v <> cast(try_cast(item.v as decimal(18, 8)) as decimal(38, 20)), true)
                    then 'not_representable'
                when
                    has_long_digits
                    and not (
                        is_attributable
                        and coalesce(try_cast(price_text as decimal(38, 20)) = item.p, false)
                        and coalesce(try_cast(size_text as decimal(38, 20)) = item.v, false)
                        and {{ decimals_needed('price_text') }} <= 8
                        and {{ decimals_needed('size_text') }} <= 8
                    )
                    then 'not_representable'
            end as problem
        from careful_items

    ),

    parsed_prints as (

        select
            {{ columns }},
            print_index,
            item.s as symbol,
            item.t as traded_ms,
            item.p as price,
            item.v as size,
            item.c as conditions_json,
            cast(null as varchar) as problem
        from plain_prints
        union all by name
        select * from careful_prints
        union all by name
        select {{ columns }}, 0 as print_index, problem
        from careful_messages
        where problem is not null

    )
{%- endmacro %}


{# How many decimals a JSON number's text needs: its fraction, less its trailing zeros, less its exponent. #}
{% macro decimals_needed(number_text) -%}
    case
        when regexp_full_match({{ number_text }}, '-?[0.]+(?:[eE].*)?') then 0
        else coalesce(
            length(regexp_extract({{ number_text }}, '\.([0-9]+)', 1))
            - length(regexp_extract(replace(regexp_extract({{ number_text }}, '^[-0-9.]+'), '.', ''), '0*$'))
            - coalesce(try_cast(nullif(regexp_extract({{ number_text }}, '[eE](.*)$', 1), '') as integer),
                case when regexp_matches({{ number_text }}, '[eE]') then -1000 else 0 end),
            1000
        )
    end
{%- endmacro %}
