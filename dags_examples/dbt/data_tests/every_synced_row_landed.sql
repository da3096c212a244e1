-- Airbyte can report success without data, so compare the rows that it reports with the rows in the tables.
with landed as (
    {% for table in ["users", "products", "purchases"] %}
    select (_airbyte_meta ->> 'sync_id')::bigint as job_id from {{ source("airbyte", table) }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
)

select
    sync_audit.job_id,
    sync_audit.rows_synced,
    count(landed.job_id) as rows_landed
from {{ ref("sync_audit") }} as sync_audit
left join landed on landed.job_id = sync_audit.job_id
group by all
having count(landed.job_id) != sync_audit.rows_synced
