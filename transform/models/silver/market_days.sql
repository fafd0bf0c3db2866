{# grain: one weekday of an exchange, its hours in UTC; closed days have none: exchange, trading_date #}
{{ config(materialized='table', tags=['definition']) }}

with exchanges as (

    select * from {{ ref('exchanges') }}

),

exceptional_days as (

    select * from {{ ref('exchange_days') }}

),

calendar_dates as (

    {{ date_spine('1990-01-01', '2030-12-31') }}

),

local_hours as (

    select
        exchanges.exchange,
        exchanges.time_zone,
        exchanges.post_market_minutes,
        calendar_dates.calendar_date as trading_date,
        cast(exchanges.pre_open_time as time) as pre_open_time,
        cast(coalesce(exceptional_days.open_time, exchanges.open_time) as time) as open_time,
        cast(coalesce(exceptional_days.close_time, exchanges.close_time) as time) as close_time
    from exchanges
    cross join calendar_dates
    left join exceptional_days
        on
            exchanges.exchange = exceptional_days.exchange
            and calendar_dates.calendar_date = exceptional_days.trading_date
    where
        isodow(calendar_dates.calendar_date) <= 5
        and (exceptional_days.trading_date is null or exceptional_days.open_time is not null)

),

utc_hours as (

    select
        exchange,
        trading_date,
        {{ local_to_utc('trading_date + pre_open_time', 'time_zone') }} as pre_open_at,
        {{ local_to_utc('trading_date + open_time', 'time_zone') }} as open_at,
        {{ local_to_utc('trading_date + close_time', 'time_zone') }} as close_at,
        {{ local_to_utc('trading_date + close_time + to_minutes(post_market_minutes)', 'time_zone') }} as post_close_at
    from local_hours

)

select * from utc_hours
