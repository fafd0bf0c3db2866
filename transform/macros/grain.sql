{# A generic test: these columns name one row at most. #}
{% test unique_grain(model, columns) %}
    select {{ columns | join(', ') }}, count(*) as copies
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}


{# A generic test: these columns hold a value on every row. #}
{% test never_null(model, columns) %}
    select * from {{ model }} where {{ columns | join(' is null or ') }} is null
{% endtest %}


{# A generic test: an expression holds on every row. #}
{% test holds(model, expression) %}
    select * from {{ model }} where not ({{ expression }})
{% endtest %}


{#
    Data tests look at the rows that the last loads touched, or at all of them in a full build: a test says
    `where: __touched__`, and the build says from which load on (`tested_from`).
#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where', '') -%}
    {%- if not where -%}
        {{ return(relation) }}
    {%- endif -%}
    {%- set reach = {'__touched__': 'bucket', '__touched_days__': 'day'}.get(where) -%}
    {%- if reach -%}
        {%- set tested_from = var('tested_from', 0) | int -%}
        {%- if tested_from == 0 or flags.FULL_REFRESH -%}
            {{ return(relation) }}
        {%- endif -%}
        {%- set columns = reach_columns(reach) | join(', ') -%}
        {%- set where = '(' ~ columns ~ ') in (select ' ~ columns ~ ' from silver.touched where load_id >= ' ~ tested_from ~ ')' -%}
    {%- endif -%}
    {{ return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') as tested_rows') }}
{%- endmacro %}
