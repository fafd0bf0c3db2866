{#
    A generic test: these columns name one row at most, and hold a value on every row, as do those under `also_not_null`.
    One test a table and one reading of it, since a build runs it on what it touched.
#}
{% test unique_not_null(model, columns, also_not_null=[]) %}
    select {{ columns | join(', ') }}, count(*) as copies
    from {{ model }}
    group by {{ columns | join(', ') }}
    having
        count(*) > 1
        {%- for column in columns + also_not_null %}
            or count({{ column }}) < count(*)
        {%- endfor %}
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
