{#
    grain: what the marks of a symbol's day were from a load on: feed, symbol, lens, trading_date, load_id

    Only the newest version counts (day_marks); what a version moved tells bars what to make again (moved_marks).
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        post_hook='{{ advance_watermark() }}',
    )
}}

with touched_marks as (

    select * from {{ ref('bucket_marks') }}
    where {{ within_reach('day') }}

),

marks as (
    {{ day_marks('touched_marks') }}
),

versions as (

    select
        {{ newest_load() }} as load_id,
        *
    from marks

),

changed_versions as (

    select versions.*
    from versions
    {% if is_incremental() -%}
    left join (
        select * from {{ this }}
        qualify row_number() over (partition by feed, symbol, lens, trading_date order by load_id desc) = 1
    ) as newest_versions
        on
            versions.feed = newest_versions.feed
            and versions.symbol = newest_versions.symbol
            and versions.lens = newest_versions.lens
            and versions.trading_date = newest_versions.trading_date
    where
        newest_versions.load_id is null
        or row(
            versions.first_key,
            versions.day_first_key,
            versions.opening_price,
            versions.closing_price,
            versions.opening_received_ns,
            versions.closing_received_ns
        )
        is distinct from row(
            newest_versions.first_key,
            newest_versions.day_first_key,
            newest_versions.opening_price,
            newest_versions.closing_price,
            newest_versions.opening_received_ns,
            newest_versions.closing_received_ns
        )
    {%- endif %}

)

select * from changed_versions
