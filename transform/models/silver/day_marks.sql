{# grain: the day of a symbol through a lens, its first print and auctions as known now: feed, symbol, lens, trading_date #}
{{ config(materialized='view', tags=['definition']) }}

with versions as (

    select * from {{ ref('day_mark_versions') }}

),

newest_versions as (

    select * from versions
    qualify row_number() over (partition by feed, symbol, lens, trading_date order by load_id desc) = 1

)

select * from newest_versions
