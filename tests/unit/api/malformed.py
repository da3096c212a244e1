"""Generators of malformed input, for property-based tests."""

from hypothesis import settings
from hypothesis import strategies as st

# No deadline, because a busy machine is slow; derandomized, so that a failure is reproducible.
reproducible = settings(deadline=None, derandomize=True, max_examples=50)

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
