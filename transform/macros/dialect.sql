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
    Volume-weighted average price, decimal(18, 8). A division gives a double, which is too coarse for large prices: what
    is left over of it is divided once more. The quotient is kept inside [low, high], where the exact one always lies.
#}
{% macro vwap(notional, volume, low, high) -%}
    {%- set quotient = 'cast(' ~ notional ~ ' / ' ~ volume ~ ' as decimal(18, 8))' -%}
    {%- set left_over = notional ~ ' - cast(' ~ quotient ~ ' as decimal(38, 8)) * ' ~ volume -%}
    case when {{ volume }} > 0 then
        cast(
            greatest({{ low }}, least({{ high }}, {{ quotient }} + cast(({{ left_over }}) / {{ volume }} as decimal(18, 8))))
            as decimal(18, 8)
        )
    end
{%- endmacro %}


{# A timestamp in UTC to milliseconds since 1970. #}
{% macro timestamp_to_ms(timestamp) -%}
    {{ return(adapter.dispatch('timestamp_to_ms')(timestamp)) }}
{%- endmacro %}

{% macro duckdb__timestamp_to_ms(timestamp) -%}
    epoch_ms({{ timestamp }})
{%- endmacro %}


{# A timestamp in UTC to nanoseconds since 1970. #}
{% macro timestamp_to_ns(timestamp) -%}
    {{ return(adapter.dispatch('timestamp_to_ns')(timestamp)) }}
{%- endmacro %}

{% macro duckdb__timestamp_to_ns(timestamp) -%}
    epoch_ns({{ timestamp }})
{%- endmacro %}


{# An aggregate: of each minute in which something arrived after a moment, the newest arrival; null where nothing did. #}
{% macro late_arrivals(received_ns, after_ns) -%}
    {{ return(adapter.dispatch('late_arrivals')(received_ns, after_ns)) }}
{%- endmacro %}

{% macro duckdb__late_arrivals(received_ns, after_ns) -%}
    {%- set late = 'list(' ~ received_ns ~ ') filter (where ' ~ received_ns ~ ' > ' ~ after_ns ~ ')' -%}
    list_transform(
        list_sort(list_distinct(list_transform({{ late }}, lambda late_ns: late_ns // 60000000000))),
        lambda late_minute: list_max(list_filter({{ late }}, lambda late_ns: late_ns // 60000000000 = late_minute))
    )
{%- endmacro %}


{# In how many minutes something arrived after a moment; arrivals may be null. #}
{% macro count_late_minutes(arrivals, after_ns) -%}
    {{ return(adapter.dispatch('count_late_minutes')(arrivals, after_ns)) }}
{%- endmacro %}

{% macro duckdb__count_late_minutes(arrivals, after_ns) -%}
    len(list_distinct(list_transform(
        list_filter({{ arrivals }}, lambda arrived_ns: arrived_ns > {{ after_ns }}),
        lambda arrived_ns: arrived_ns // 60000000000
    )))
{%- endmacro %}


{# An aggregate: the members of lists and of single values, as one list; nulls may be among them. #}
{% macro gather(lists, values) -%}
    {{ return(adapter.dispatch('gather')(lists, values)) }}
{%- endmacro %}

{% macro duckdb__gather(lists, values) -%}
    list_concat(flatten(list({{ lists }})){% for value in values %}, list({{ value }}){% endfor %})
{%- endmacro %}


{# 64 bits that stand for a text; equal texts give equal keys. #}
{% macro text_key(text) -%}
    {{ return(adapter.dispatch('text_key')(text)) }}
{%- endmacro %}

{% macro duckdb__text_key(text) -%}
    md5_number_lower({{ text }})
{%- endmacro %}


{# Whether a value is in a list; an empty list means all. #}
{% macro is_one_of(value, members) -%}
    {{ return(adapter.dispatch('is_one_of')(value, members)) }}
{%- endmacro %}

{% macro duckdb__is_one_of(value, members) -%}
    (len({{ members }}) = 0 or list_contains({{ members }}, {{ value }}))
{%- endmacro %}


{# A function that gives a table, as a model: its SQL may name the parameters that its config declares. #}
{% materialization table_function, default %}
    {%- call statement('main') -%}
        {{ adapter.dispatch('create_table_function')(this, config.require('parameters'), sql) }}
    {%- endcall -%}
    {{ adapter.commit() }}
    {{ return({'relations': []}) }}
{% endmaterialization %}

{% macro duckdb__create_table_function(relation, parameters, sql) -%}
    create schema if not exists {{ relation.schema }};
    create or replace macro {{ relation }}({{ parameters | join(', ') }}) as table (
        {{ sql }}
    )
{%- endmacro %}
