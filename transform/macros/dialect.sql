{# Every difference between warehouses is one dispatched macro here, or in parse.sql; never `if target.type` in a model. #}

{# Milliseconds since 1970 UTC to a timestamp without zone, in UTC. #}
{% macro ms_to_timestamp(milliseconds) -%}
    {{ return(adapter.dispatch('ms_to_timestamp')(milliseconds)) }}
{%- endmacro %}

{% macro duckdb__ms_to_timestamp(milliseconds) -%}
    epoch_ms({{ milliseconds }})
{%- endmacro %}


{# Nanoseconds since 1970 UTC to a timestamp without zone, in UTC, cut to microseconds. #}
{% macro ns_to_timestamp(nanoseconds) -%}
    {{ return(adapter.dispatch('ns_to_timestamp')(nanoseconds)) }}
{%- endmacro %}

{% macro duckdb__ns_to_timestamp(nanoseconds) -%}
    make_timestamp({{ nanoseconds }} // 1000)
{%- endmacro %}


{# A wall-clock timestamp of a zone to a timestamp in UTC. #}
{% macro local_to_utc(local_timestamp, zone) -%}
    {{ return(adapter.dispatch('local_to_utc')(local_timestamp, zone)) }}
{%- endmacro %}

{% macro duckdb__local_to_utc(local_timestamp, zone) -%}
    timezone('UTC', timezone({{ zone }}, {{ local_timestamp }}))
{%- endmacro %}


{# Every date from one to another, both included, as column `calendar_date`. #}
{% macro date_spine(first_date, last_date) -%}
    {{ return(adapter.dispatch('date_spine')(first_date, last_date)) }}
{%- endmacro %}

{% macro duckdb__date_spine(first_date, last_date) -%}
    select cast(unnest(range(date '{{ first_date }}', date '{{ last_date }}' + 1, interval 1 day)) as date) as calendar_date
{%- endmacro %}


{# The whole part of a division of integers. #}
{% macro integer_divide(dividend, divisor) -%}
    {{ return(adapter.dispatch('integer_divide')(dividend, divisor)) }}
{%- endmacro %}

{% macro duckdb__integer_divide(dividend, divisor) -%}
    (({{ dividend }}) // ({{ divisor }}))
{%- endmacro %}


{# Exact price × size: one factor is widened first, or the product overflows. #}
{% macro notional(price, size) -%}
    cast({{ price }} as decimal(38, 8)) * {{ size }}
{%- endmacro %}


{#
    Volume-weighted average price, decimal(18, 8). The division gives a double, so the quotient is kept inside
    [low, high], where the exact one always lies.
#}
{% macro vwap(notional, volume, low, high) -%}
    case when {{ volume }} > 0 then
        greatest({{ low }}, least({{ high }}, cast({{ notional }} / {{ volume }} as decimal(18, 8))))
    end
{%- endmacro %}


{# A timestamp in UTC to milliseconds since 1970. #}
{% macro timestamp_to_ms(timestamp) -%}
    {{ return(adapter.dispatch('timestamp_to_ms')(timestamp)) }}
{%- endmacro %}

{% macro duckdb__timestamp_to_ms(timestamp) -%}
    epoch_ms({{ timestamp }})
{%- endmacro %}
