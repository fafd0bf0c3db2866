{# grain: a condition code that trades carry and that no tape's list holds: code #}
{{ config(materialized='view', tags=['definition']) }}

with trades as (

    select * from {{ ref('trades') }}

),

trade_conditions as (

    select * from {{ ref('trade_conditions') }}

),

counted_sets as (

    select
        conditions,
        count(*) as trades,
        min(traded_at) as first_traded_at,
        max(traded_at) as last_traded_at
    from trades
    where conditions <> ''
    group by conditions

),

codes as (

    select
        unnest(string_split(conditions, ',')) as code,
        trades,
        first_traded_at,
        last_traded_at
    from counted_sets

),

unknown_codes as (

    select
        codes.code,
        cast(sum(codes.trades) as bigint) as trades,
        min(codes.first_traded_at) as first_traded_at,
        max(codes.last_traded_at) as last_traded_at
    from codes
    left join trade_conditions on codes.code = trade_conditions.code
    where trade_conditions.code is null
    group by codes.code

)

select * from unknown_codes
