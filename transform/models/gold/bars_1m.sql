{# grain: one minute of a symbol through a lens in which it traded: feed, symbol, lens, start_at #}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_reach',
        reach='bar',
        post_hook='{{ advance_watermark() }}',
    )
}}

{{ bars_within_reach('1m', 'bar') }}
