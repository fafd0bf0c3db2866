{#
    grain: what a lens makes of one set of condition codes: lens, conditions

    A print that may set open and close always counts for high and low too.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        post_hook='{{ advance_watermark() }}',
    )
}}

with lenses as (

    select * from {{ ref('lenses') }}

),

lens_rules as (

    select * from {{ ref('lens_rules') }}

),

condition_sets as (

    select distinct conditions from {{ ref('trades') }}
    where {{ within_reach('bucket') }}
    {% if is_incremental() -%}
    except
    select conditions from {{ this }}
    {%- endif %}

),

condition_codes as (

    select
        conditions,
        unnest(string_split(conditions, ',')) as code
    from condition_sets
    where conditions <> ''

),

ruled_codes as (

    select
        condition_codes.conditions,
        lenses.lens,
        lenses.has_auctions and condition_codes.code = '19' as is_opening_auction,
        lenses.has_auctions and condition_codes.code = '36' as is_closing_auction,
        coalesce(lens_rules.updates_high_low, lenses.unknown_updates_high_low) as updates_high_low,
        coalesce(lens_rules.updates_last, lenses.unknown_updates_last) as updates_last,
        coalesce(lens_rules.updates_volume, lenses.unknown_updates_volume) as updates_volume
    from condition_codes
    cross join lenses
    left join lens_rules on lenses.lens = lens_rules.lens and condition_codes.code = cast(lens_rules.code as varchar)

),

combined_rules as (

    select
        lens,
        conditions,
        not bool_or(updates_high_low = 'no') or not bool_or(updates_last = 'no') as updates_high_low,
        not bool_or(updates_last = 'no') as updates_last,
        not bool_or(updates_volume = 'no') as updates_volume,
        bool_or(updates_last = 'first_only') as is_first_only,
        bool_or(updates_high_low = 'session' or updates_last = 'session') as is_extended_only,
        bool_or(is_opening_auction) as is_opening_auction,
        bool_or(is_closing_auction) as is_closing_auction
    from ruled_codes
    group by lens, conditions

),

unconditional as (

    select
        lens,
        '' as conditions,
        true as updates_high_low,
        true as updates_last,
        true as updates_volume,
        false as is_first_only,
        false as is_extended_only,
        false as is_opening_auction,
        false as is_closing_auction
    from lenses
    where {% if is_incremental() %} '' not in (select conditions from {{ this }}) {% else %} true {% endif %}

),

all_rules as (

    select * from combined_rules
    union all by name
    select * from unconditional

)

select * from all_rules
