select
    users.id,
    users.name,
    users.age,
    count(purchases.id) as purchases
from {{ source("airbyte", "users") }} as users
left join {{ source("airbyte", "purchases") }} as purchases on purchases.user_id = users.id
group by all
