{#
    grain: one answer of a vendor about history: feed, session, seq

    The same answer, given again later, is the same session: it counts as given when it came last.
    What it is about stands in its session's first record, which may come later than it.
#}
{{ config(materialized='view', tags=['definition']) }}

with recorded_frames as (

    select * from {{ ref('recorded_frames') }}

),

feeds as (

    select * from {{ ref('feeds') }}
    where parser = 'vendor_history'

),

records as (

    select recorded_frames.*
    from recorded_frames
    inner join feeds on recorded_frames.feed = feeds.feed

),

latest_copies as (

    select * from records
    qualify row_number() over (partition by feed, session, seq order by received_ns desc, {{ copy_key() }} desc) = 1

),

questions as (

    select
        feed,
        session,
        control ->> '$.path' as path,
        control ->> '$.parameters.symbol' as symbol,
        control ->> '$.parameters.resolution' as resolution
    from latest_copies
    where kind = 'control' and control ->> '$.type' = 'session_opened'
    qualify row_number() over (partition by feed, session order by seq) = 1

),

told_answers as (

    select
        *,
        case when feed = 'finnhub_candle' then {{ candles('frame') }} end as candles,
        case when feed = 'finnhub_split' then {{ splits('frame') }} end as splits
    from latest_copies
    where kind <> 'control'

),

answers as (

    select
        told_answers.feed,
        told_answers.session,
        told_answers.seq,
        questions.path,
        questions.symbol,
        questions.resolution,
        told_answers.candles,
        told_answers.splits,
        case
            when questions.session is null then 'unplaced'
            when told_answers.feed = 'finnhub_candle' and questions.symbol || questions.resolution is null then 'unplaced'
            when told_answers.feed = 'finnhub_candle' then {{ candles_status('told_answers.frame', 'told_answers.candles') }}
            else {{ splits_status('told_answers.frame', 'told_answers.splits') }}
        end as status,
        told_answers.received_ns
    from told_answers
    left join questions on told_answers.feed = questions.feed and told_answers.session = questions.session

)

select * from answers
