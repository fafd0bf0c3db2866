{#
    grain: one split of a symbol: feed, symbol, split_date

    What was answered last counts.
#}
{{ config(materialized='view', tags=['definition']) }}

with answers as (

    select * from {{ ref('vendor_answers') }}
    where feed = 'finnhub_split' and status = 'read'

),

told_splits as (

    select
        feed,
        session,
        path,
        received_ns,
        unnest(splits) as told
    from answers

),

named_splits as (

    select
        feed,
        session,
        path,
        received_ns,
        told['symbol'] as symbol,
        told['fromFactor'] as from_factor,
        told['toFactor'] as to_factor,
        told['date'] as split_date
    from told_splits

),

newest_splits as (

    select * from named_splits
    qualify
        row_number() over (
            partition by feed, symbol, split_date order by received_ns desc, session desc, from_factor desc, to_factor desc
        ) = 1

),

splits as (

    select
        feed,
        symbol,
        from_factor,
        to_factor,
        path as source,
        split_date,
        {{ ns_to_timestamp('received_ns') }} as received_at
    from newest_splits

)

select * from splits
