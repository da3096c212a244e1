"""Each kind of resource as a target: how to find, plan, write and read it."""
