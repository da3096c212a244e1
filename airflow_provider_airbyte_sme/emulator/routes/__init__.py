"""The handlers of all operations, one module for each kind of resource."""
