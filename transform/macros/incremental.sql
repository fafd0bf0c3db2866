{#
    Incremental, one way everywhere.

    A load is a transaction that brought new frames; load ids ascend in the order of arrival. The model `touched`
    says which (feed, symbol, bucket) each load changed. Every incremental model remembers the last load that it
    has seen, declares its reach, and replaces exactly the rows that lie within reach of what was touched since.

    reach = 'bucket'    the five minutes themselves
    reach = 'bar'       and the buckets where the day's first print or an auction moved from or to
    reach = 'day'       the symbol's whole trading day
    reach = 'session'   the feed's whole connection
    reach = 'gaps'      all gaps of a feed, where one can have changed (gaps.sql)
#}

{% macro create_watermarks() %}
    create schema if not exists silver;
    create table if not exists silver.watermarks (model varchar not null, load_id bigint not null);
    create table if not exists silver.gaps_basis (
        feed varchar, session varchar, cause varchar, is_over boolean,
        closed_ns bigint, first_received_ns bigint, last_frame_ns bigint
    )
{% endmacro %}


{# The last load that a model has seen; 0 where it is built from the beginning. #}
{% macro watermark(model_name) -%}
    {%- set relation = adapter.get_relation(target.database, 'silver', model_name)
        or adapter.get_relation(target.database, 'gold', model_name) -%}
    {%- if flags.FULL_REFRESH or not execute or relation is none -%}
        0
    {%- else -%}
        (select coalesce(max(load_id), 0) from silver.watermarks where model = '{{ model_name }}')
    {%- endif -%}
{%- endmacro %}


{# The newest load. #}
{% macro newest_load() -%}
    (select coalesce(max(load_id), 0) from {{ source('landed', 'loads') }})
{%- endmacro %}


{# A post-hook of every incremental model: in the same transaction as its rows. #}
{% macro advance_watermark() %}
    delete from silver.watermarks where model = '{{ model.name }}';
    insert into silver.watermarks select '{{ model.name }}' as model, {{ newest_load() }} as load_id
{% endmacro %}


{# The columns that name one unit of a reach. #}
{% macro reach_columns(reach) -%}
    {{ return({
        'bucket': ['feed', 'symbol', 'bucket'],
        'bar': ['feed', 'symbol', 'bucket'],
        'day': ['feed', 'symbol', 'trading_date'],
        'session': ['feed', 'session'],
        'gaps': ['feed'],
    }[reach]) }}
{%- endmacro %}


{# Select the units within reach of what was touched since the model's watermark. #}
{% macro touched_units(model_name, reach) -%}
    {%- set columns = reach_columns(reach) | join(', ') -%}
    {%- if reach == 'gaps' -%}
    {{ feeds_with_other_gaps(watermark(model_name)) }}
    {%- else -%}
    select distinct {{ columns }}
    from {{ ref('recorded_frames') if reach == 'session' else ref('touched') }}
    where load_id > {{ watermark(model_name) }}
    {%- if reach == 'bar' %}
    union
    select {{ columns }} from {{ ref('moved_marks') }}
    where load_id > {{ watermark(model_name) }}
    {%- endif %}
    {%- endif %}
{%- endmacro %}


{# A condition on the rows that a model reads: all of them, or those within reach of what was touched. #}
{% macro within_reach(reach) -%}
    {%- set units = touched_units(model.name, reach) -%}  {#- outside the branch, so that dbt sees the ref -#}
    {%- if is_incremental() -%}
        ({{ reach_columns(reach) | join(', ') }}) in ({{ units }})
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}


{# The strategy `replace_reach`: delete what lies within reach, insert what was made of it. One transaction. #}
{% macro get_incremental_replace_reach_sql(arg_dict) %}
    {%- set reach = config.require('reach') %}
    delete from {{ arg_dict['target_relation'] }}
    where ({{ reach_columns(reach) | join(', ') }}) in ({{ touched_units(model.name, reach) }});

    insert into {{ arg_dict['target_relation'] }} by name
    select * from {{ arg_dict['temp_relation'] }};
{% endmacro %}


{#
    The buckets of prints that were judged before their session said what it subscribed to: of all its prints where it
    says so for the first time, and later of those that were quarantined for a symbol that it names now.
#}
{% macro rejudged_buckets(prints, wishes) -%}
    select
        announced.load_id,
        prints.feed,
        prints.symbol,
        prints.bucket
    from {{ prints }} as prints
    inner join (
        select
            feed,
            session,
            min(load_id) as load_id
        from {{ wishes }}
        where event = 'subscribing'
        group by feed, session
        having min(load_id) > {{ watermark('touched') }}
    ) as announced
        on prints.feed = announced.feed and prints.session = announced.session
    union distinct
    select
        named.load_id,
        prints.feed,
        prints.symbol,
        prints.bucket
    from {{ prints }} as prints
    inner join {{ wishes }} as named
        on prints.feed = named.feed and prints.session = named.session and prints.symbol = named.symbol
    where
        prints.reason = 'symbol_not_subscribed'
        and named.event in ('subscribing', 'subscribed')
        and named.load_id > {{ watermark('touched') }}
{%- endmacro %}
