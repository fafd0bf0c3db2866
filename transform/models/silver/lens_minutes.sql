{#
    grain: one minute of a symbol through a lens: feed, symbol, lens, start_at

    What bars are added up from.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='bar',
        post_hook='{{ advance_watermark() }}',
    )
}}

with touched_trades as (

    select * from {{ ref('trades') }}
    where {{ within_reach('bar') }}

),

minutes as (
    {{ lens_minutes('touched_trades', ref('day_marks')) }}
)

select * from minutes
order by bucket, symbol, lens, start_at
