{# grain: one genuine trade: log_id, log_partition, log_offset, print_index #}
{{ config(materialized='view') }}

with prints as (

    select * from {{ ref('prints') }}

),

trades as (

    select
        log_id,
        log_partition,
        log_offset,
        print_index,
        load_id,
        feed,
        symbol,
        bucket,
        session,
        seq,
        order_key,
        conditions,
        market_session,
        price,
        size,
        trading_date,
        {{ ms_to_timestamp('traded_ms') }} as traded_at,
        {{ ns_to_timestamp('received_ns') }} as received_at,
        traded_ms,
        received_ns
    from prints
    where verdict = 'trade'

)

select * from trades
