{#
    grain: five minutes of a symbol through a lens: feed, symbol, lens, bucket

    The bucket's candidates for the day's first print and for the auctions.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='bucket',
        post_hook='{{ advance_watermark() }}',
    )
}}

with touched_trades as (

    select * from {{ ref('trades') }}
    where {{ within_reach('bucket') }}

),

marks as (
    {{ bucket_marks('touched_trades') }}
)

select * from marks
