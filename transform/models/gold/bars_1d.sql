{# grain: one trading day of a symbol through a lens in which it traded: feed, symbol, lens, start_at #}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='day',
        post_hook='{{ advance_watermark() }}',
    )
}}

{{ bars_within_reach('1d', 'day') }}
