{# Which copy of a record: the place in a log, comparable. #}
{% macro copy_key(relation=none) -%}
    {{ return(adapter.dispatch('copy_key')(relation ~ '.' if relation else '')) }}
{%- endmacro %}

{% macro duckdb__copy_key(prefix) -%}
    row({{ prefix }}log_id, {{ prefix }}log_partition, {{ prefix }}log_offset)
{%- endmacro %}


{# The date on the wall of a zone, of a timestamp in UTC. #}
{% macro local_date(timestamp, zone) -%}
    {{ return(adapter.dispatch('local_date')(timestamp, zone)) }}
{%- endmacro %}

{% macro duckdb__local_date(timestamp, zone) -%}
    cast(timezone({{ zone }}, timezone('UTC', {{ timestamp }})) as date)
{%- endmacro %}


{# Five minutes as a number: the bucket that incremental work is counted in. #}
{% macro bucket_start(bucket) -%}
    {{ ms_to_timestamp('cast(' ~ bucket ~ ' as bigint) * 300000') }}
{%- endmacro %}


{# Symbols that name their venue (VENUE:PAIR) trade round the clock, on UTC days. #}
{% macro is_continuous(symbol) -%}
    {{ symbol }} like '%:%'
{%- endmacro %}


{# Where a symbol is traded: the exchange whose suffix it has, XNYS without one, or `continuous`. The seed `exchanges` says the same. #}
{% macro exchange(symbol) -%}
    case
        when {{ is_continuous(symbol) }} then 'continuous'
        when {{ symbol }} like '%.L' then 'XLON'
        else 'XNYS'
    end
{%- endmacro %}


{# The time zone of a symbol's exchange. #}
{% macro time_zone(symbol) -%}
    case when {{ symbol }} like '%.L' then 'Europe/London' else 'America/New_York' end
{%- endmacro %}


{# The exchange's date of a bucket: the post market may cross midnight UTC. #}
{% macro trading_date(symbol, bucket) -%}
    case
        when {{ is_continuous(symbol) }} then cast({{ bucket_start(bucket) }} as date)
        else {{ local_date(bucket_start(bucket), time_zone(symbol)) }}
    end
{%- endmacro %}
