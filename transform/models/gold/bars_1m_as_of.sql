{# grain: one minute of a symbol through a lens, as known at a moment: feed, symbol, lens, start_at #}
{{
    config(
        materialized='table_function',
        tags=['definition'],
        parameters=['as_of', 'only_symbols', 'first_date', 'last_date'],
        contract={'enforced': false},
    )
}}

{{ bars_as_of('1m') }}
