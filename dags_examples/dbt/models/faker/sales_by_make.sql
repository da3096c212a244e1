-- dbt skips this model unless every synced row is in the tables; depends_on {{ ref("sync_audit") }}
select
    products.make,
    count(*) as purchases,
    round(avg(users.age), 1) as average_age,
    round(sum(products.price), 2) as revenue
from {{ source("airbyte", "purchases") }} as purchases
inner join {{ source("airbyte", "products") }} as products on products.id = purchases.product_id
inner join {{ source("airbyte", "users") }} as users on users.id = purchases.user_id
where purchases.purchased_at is not null
group by products.make
order by revenue desc
