{# grain: one minute of a symbol through a lens in which it traded: feed, symbol, lens, start_at #}
{{ config(materialized='view', tags=['definition'], contract={'enforced': false}) }}

{{ current_bars('1m') }}
