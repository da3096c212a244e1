select
    products.make,
    count(*) as purchases,
    round(sum(products.price), 2) as revenue
from {{ source("airbyte", "purchases") }} as purchases
inner join {{ source("airbyte", "products") }} as products on products.id = purchases.product_id
group by products.make
