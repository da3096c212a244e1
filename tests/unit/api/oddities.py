"""What no server should send and somebody will, for tests that try many."""

from hypothesis import settings
from hypothesis import strategies as st

# A busy machine is no failure, and a failure is one in every run.
steady = settings(deadline=None, derandomize=True, max_examples=50)

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
