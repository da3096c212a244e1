"""The operations of Airbyte's API, one module for each kind of resource."""
