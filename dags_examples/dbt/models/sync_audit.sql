-- The sync that the other models were built from. Airflow passes the sync task's result as dbt variables.
select
    {{ var("job_id") }}::bigint as job_id,
    '{{ var("connection_id") }}' as connection_id,
    nullif('{{ var("rows_synced") }}', 'None')::bigint as rows_synced,
    '{{ var("ended_at") }}'::timestamptz as synced_at,
    current_timestamp as built_at
