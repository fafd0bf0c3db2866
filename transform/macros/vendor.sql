{# What vendors computed, from their answers: each answer is judged as a whole, and says for itself what it is about. #}

{#
    A case that says of an answer to /stock/candle, and of what `candles` made of it, whether it is `read`, `no_data` or `malformed`: arrays of one length,
    of numbers or null, and a time that is a date for each.
#}
{% macro candles_status(answer, told) -%}
    {{ return(adapter.dispatch('candles_status')(answer, told)) }}
{%- endmacro %}

{% macro duckdb__candles_status(answer, told) -%}
    case
        when {{ answer }} is null or {{ told }} is null then 'malformed'
        when {{ told }}.s = 'no_data' then 'no_data'
        when coalesce({{ told }}.s, '') <> 'ok' then 'malformed'
        when
            json_type({{ answer }}, ['$.o', '$.h', '$.l', '$.c', '$.v', '$.t'])
            <> ['ARRAY', 'ARRAY', 'ARRAY', 'ARRAY', 'ARRAY', 'ARRAY']
            then 'malformed'
        {%- for key in 'ohlcvt' %}
        when regexp_matches({{ array_text(answer, key) }}, '["\[{a-df-kmo-tv-z]') then 'malformed'
        {%- endfor %}
        when {{ told }}.t is null then 'malformed'
        {%- for key in 'ohlcv' %}
        when len({{ told }}.{{ key }}) <> len({{ told }}.t) then 'malformed'
        {%- endfor %}
        when len(list_filter({{ told }}.t, lambda second: second between 0 and 253402300799)) <> len({{ told }}.t)
            then 'malformed'
        else 'read'
    end
{%- endmacro %}


{# The same of an answer to /stock/split: a list of objects, each with a symbol, a date and two factors. #}
{% macro splits_status(answer, told) -%}
    {{ return(adapter.dispatch('splits_status')(answer, told)) }}
{%- endmacro %}

{% macro duckdb__splits_status(answer, told) -%}
    case
        when {{ answer }} is null or json_type({{ answer }}) <> 'ARRAY' then 'malformed'
        when
            coalesce(len(list_filter(
                {{ told }},
                lambda one: one['symbol'] <> '' and one['date'] is not null and one['fromFactor'] > 0 and one['toFactor'] > 0
            )), -1) <> json_array_length({{ answer }})
            then 'malformed'
        when json_array_length({{ answer }}) = 0 then 'no_data'
        else 'read'
    end
{%- endmacro %}


{# An answer to /stock/candle as a struct: s, and the lists o, h, l, c, v and t. #}
{% macro candles(answer) -%}
    {{ return(adapter.dispatch('candles')(answer)) }}
{%- endmacro %}

{% macro duckdb__candles(answer) -%}
    from_json(
        {{ answer }},
        '{"s":"VARCHAR","o":["DECIMAL(18,8)"],"h":["DECIMAL(18,8)"],"l":["DECIMAL(18,8)"],"c":["DECIMAL(18,8)"],"v":["DECIMAL(38,8)"],"t":["BIGINT"]}'
    )
{%- endmacro %}


{# An answer to /stock/split as a list of structs: symbol, date, fromFactor, toFactor. #}
{% macro splits(answer) -%}
    {{ return(adapter.dispatch('splits')(answer)) }}
{%- endmacro %}

{% macro duckdb__splits(answer) -%}
    from_json({{ answer }}, '[{"symbol":"VARCHAR","date":"DATE","fromFactor":"DECIMAL(18,8)","toFactor":"DECIMAL(18,8)"}]')
{%- endmacro %}
