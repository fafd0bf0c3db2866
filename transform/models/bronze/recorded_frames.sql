{# grain: one durable record of a log: log_id, log_partition, log_offset #}
with frames as (

    select * from {{ source('landed', 'frames') }}

)

select * from frames
